# SPDX-License-Identifier: Apache-2.0
# Cross build for 64-bit ARM on another Linux machine: cmake --toolchain cmake/aarch64.cmake. Debian packages:
# g++-aarch64-linux-gnu, qemu-user-static.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc) # of programs that use the library; the engine has no C
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
# Static: the programs run under qemu without the libraries of an ARM machine, and start faster.
set(CMAKE_EXE_LINKER_FLAGS_INIT -static)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64-static)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
