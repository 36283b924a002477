# SPDX-License-Identifier: Apache-2.0
# Cross build for 32-bit ARMv7 with hardware floats on another Linux machine: cmake --toolchain cmake/armv7.cmake.
# Debian packages: g++-arm-linux-gnueabihf, qemu-user-static.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR armv7l)
set(CMAKE_C_COMPILER arm-linux-gnueabihf-gcc) # of programs that use the library; the engine has no C
set(CMAKE_CXX_COMPILER arm-linux-gnueabihf-g++)
set(CMAKE_C_FLAGS_INIT "-march=armv7-a+fp -mfloat-abi=hard")
# -Wno-psabi: a note about GCC 6 and older, of no use to a program that is built as a whole.
set(CMAKE_CXX_FLAGS_INIT "-march=armv7-a+fp -mfloat-abi=hard -Wno-psabi")
# Static: the programs run under qemu without the libraries of an ARM machine, and start faster.
set(CMAKE_EXE_LINKER_FLAGS_INIT -static)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-arm-static)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
