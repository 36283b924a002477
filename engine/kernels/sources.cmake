# SPDX-License-Identifier: Apache-2.0
# The kernel files and the flags of each; included by engine/CMakeLists.txt, paths relative to engine/.
# Nothing is compiled for the machine that builds: a file may use exactly the instruction set in its name.
set(FEWBINS_KERNEL_SOURCES
    kernels/registry.cpp
    kernels/pack.cpp
    kernels/pack_depthwise.cpp
    kernels/f32/scalar.cpp
    kernels/dot32/scalar.cpp
    kernels/dot16/scalar.cpp
    kernels/depthwise/scalar.cpp
    kernels/elementwise/scalar.cpp)
set_source_files_properties(${FEWBINS_KERNEL_SOURCES} PROPERTIES COMPILE_OPTIONS "-O3;-ffp-contract=off")
