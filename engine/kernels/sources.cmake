# SPDX-License-Identifier: Apache-2.0
# The kernel files and the flags of each; included by engine/CMakeLists.txt, paths relative to engine/.
# Nothing is compiled for the machine that builds: a file may use exactly the instruction set that it is named after.
# -O3 in every build type: unoptimized and instrumented, the assembly would find too few free registers.
set(kernel_flags_common -O3 -ffp-contract=off)
set(kernel_flags_ssse3 -mssse3)
set(kernel_flags_avx2 -mavx2 -mfma -mf16c -mbmi2)
set(kernel_flags_avxvnni -mavxvnni ${kernel_flags_avx2})
set(kernel_flags_avx512bw -mavx512f -mavx512bw -mavx512vl -mavx512dq ${kernel_flags_avx2})
set(kernel_flags_avx512vnni -mavx512vnni ${kernel_flags_avx512bw})
set(kernel_flags_amx -mamx-tile -mamx-int8 ${kernel_flags_avx512vnni})

set(FEWBINS_KERNEL_SOURCES
    kernels/registry.cpp
    kernels/costs.cpp
    kernels/select.cpp
    kernels/pack.cpp
    kernels/pack_steps.cpp
    kernels/pack_u4.cpp
    kernels/pack_arm.cpp
    kernels/pack_depthwise.cpp
    kernels/pack_few_rows.cpp
    kernels/f32/scalar.cpp
    kernels/dot32/scalar.cpp
    kernels/dot16/scalar.cpp
    kernels/dot32_i16/scalar.cpp
    kernels/u4/scalar.cpp
    kernels/lut4/scalar.cpp
    kernels/depthwise_f32/scalar.cpp
    kernels/depthwise_dot32/scalar.cpp
    kernels/depthwise_dot16/scalar.cpp
    kernels/winograd/scalar.cpp
    kernels/elementwise/scalar.cpp)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  list(APPEND FEWBINS_KERNEL_SOURCES
       kernels/f32/ssse3.cpp
       kernels/dot32/ssse3.cpp
       kernels/dot16/ssse3.cpp
       kernels/f32/avx2.cpp
       kernels/f32/avx512bw.cpp
       kernels/dot32/avx2.cpp
       kernels/dot32/avxvnni.cpp
       kernels/dot32/avx512bw.cpp
       kernels/dot32/avx512vnni.cpp
       kernels/dot32/amx.cpp
       kernels/dot16/avx2.cpp
       kernels/dot16/avx512bw.cpp
       kernels/dot32_i16/ssse3.cpp
       kernels/u4/ssse3.cpp
       kernels/u4/avx2.cpp
       kernels/dot32_i16/avx2.cpp
       kernels/dot32_i16/avxvnni.cpp
       kernels/dot32_i16/avx512bw.cpp
       kernels/dot32_i16/avx512vnni.cpp
       kernels/depthwise_f32/ssse3.cpp
       kernels/depthwise_dot32/ssse3.cpp
       kernels/elementwise/ssse3.cpp
       kernels/depthwise_f32/avx2.cpp
       kernels/depthwise_f32/avx512bw.cpp
       kernels/depthwise_dot32/avx2.cpp
       kernels/depthwise_dot32/avxvnni.cpp
       kernels/depthwise_dot32/avx512bw.cpp
       kernels/depthwise_dot32/avx512vnni.cpp
       kernels/dot32/few_rows/ssse3.cpp
       kernels/dot32/few_rows/avx2.cpp
       kernels/dot32/few_rows/avxvnni.cpp
       kernels/dot32/few_rows/avx512bw.cpp
       kernels/dot32/few_rows/avx512vnni.cpp
       kernels/lut4/ssse3.cpp
       kernels/lut4/avx2.cpp
       kernels/lut4/avxvnni.cpp
       kernels/lut4/avx512bw.cpp
       kernels/lut4/avx512vnni.cpp
       kernels/depthwise_dot16/ssse3.cpp
       kernels/depthwise_dot16/avx2.cpp
       kernels/depthwise_dot16/avx512bw.cpp
       kernels/winograd/ssse3.cpp
       kernels/winograd/avx2.cpp
       kernels/winograd/avx512bw.cpp
       kernels/elementwise/avx2.cpp
       kernels/elementwise/avx512bw.cpp)
endif()
# By the compiler's pointers, since a 64-bit ARM machine may have a 32-bit userland.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm)" AND CMAKE_SIZEOF_VOID_P EQUAL 8)
  # Scheduling before registers are given out makes GCC spill tiles that fit.
  set(kernel_flags_arm $<$<CXX_COMPILER_ID:GNU>:-fno-schedule-insns>)
  set(kernel_flags_neon -march=armv8-a ${kernel_flags_arm})
  set(kernel_flags_neon_24x8 ${kernel_flags_neon})
  set(kernel_flags_neon_dot -march=armv8.2-a+dotprod ${kernel_flags_arm})
  set(kernel_flags_neon_i8mm -march=armv8.2-a+dotprod+i8mm ${kernel_flags_arm})
  list(APPEND FEWBINS_KERNEL_SOURCES
       kernels/f32/neon.cpp
       kernels/dot32/neon.cpp
       kernels/dot32/neon_dot.cpp
       kernels/dot32/neon_i8mm.cpp
       kernels/dot16/neon.cpp
       kernels/dot16/neon_24x8.cpp
       kernels/dot32_i16/neon.cpp
       kernels/u4/neon.cpp
       kernels/lut4/neon.cpp
       kernels/lut4/neon_dot.cpp
       kernels/winograd/neon.cpp
       kernels/depthwise_f32/neon.cpp
       kernels/depthwise_dot32/neon.cpp
       kernels/depthwise_dot16/neon.cpp
       kernels/elementwise/neon.cpp)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm)")
  set(kernel_flags_neon -march=armv7-a+fp -mfloat-abi=hard -mfpu=neon-vfpv4
                        $<$<CXX_COMPILER_ID:GNU>:-fno-schedule-insns>)
  list(APPEND FEWBINS_KERNEL_SOURCES
       kernels/f32/neon.cpp
       kernels/dot32/neon.cpp
       kernels/dot16/neon.cpp
       kernels/dot32_i16/neon.cpp
       kernels/u4/neon.cpp
       kernels/lut4/neon.cpp
       kernels/depthwise_f32/neon.cpp
       kernels/depthwise_dot32/neon.cpp
       kernels/depthwise_dot16/neon.cpp)
endif()
foreach(source IN LISTS FEWBINS_KERNEL_SOURCES)
  get_filename_component(isa "${source}" NAME_WE)
  set_source_files_properties("${source}" PROPERTIES COMPILE_OPTIONS "${kernel_flags_common};${kernel_flags_${isa}}")
endforeach()
