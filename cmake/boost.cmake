# SPDX-License-Identifier: Apache-2.0
# Sets FEWBINS_BOOST_INCLUDE_DIR, the folder of Boost's headers: the caller's, or that of Python's package boost-headers
# where Python takes part in the build, or an installed one. See docs/adr/0013-boost-headers-are-found.md.
set(FEWBINS_BOOST_INCLUDE_DIR "" CACHE PATH "Folder with Boost's headers; looked for when empty")
# The first release whose JSON parser reads numbers to the last bit (number_precision).
set(boost_least 108300)

if(NOT FEWBINS_BOOST_INCLUDE_DIR AND Python_EXECUTABLE)
  execute_process(
    COMMAND "${Python_EXECUTABLE}" -c "import boost_headers; print(boost_headers.get_include())"
    OUTPUT_VARIABLE boost_of_python OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE boost_missing ERROR_QUIET)
  if(NOT boost_missing)
    set(FEWBINS_BOOST_INCLUDE_DIR "${boost_of_python}" CACHE PATH "" FORCE)
  endif()
endif()
if(NOT FEWBINS_BOOST_INCLUDE_DIR)
  # Headers are the same on every CPU, so a cross build takes this machine's.
  find_path(boost_installed boost/json.hpp NO_CACHE NO_CMAKE_FIND_ROOT_PATH)
  if(boost_installed)
    set(FEWBINS_BOOST_INCLUDE_DIR "${boost_installed}" CACHE PATH "" FORCE)
  endif()
endif()

set(boost_advice "Install them, for the build alone:
  apt-get install libboost-dev    (Debian 13, Ubuntu 24.04 and later)
  dnf install boost-devel         (Fedora)
  python3 -m pip install --target build/boost boost-headers    (anywhere; then configure with
    -DFEWBINS_BOOST_INCLUDE_DIR=build/boost/boost_headers/include)")
if(NOT FEWBINS_BOOST_INCLUDE_DIR)
  message(FATAL_ERROR "Boost's headers, 1.83 or later, were not found. ${boost_advice}")
endif()
get_filename_component(boost_folder "${FEWBINS_BOOST_INCLUDE_DIR}" ABSOLUTE BASE_DIR "${CMAKE_SOURCE_DIR}")
if(NOT EXISTS "${boost_folder}/boost/json.hpp" OR NOT EXISTS "${boost_folder}/boost/version.hpp")
  message(FATAL_ERROR "FEWBINS_BOOST_INCLUDE_DIR is ${boost_folder}, where there is no boost/json.hpp. ${boost_advice}")
endif()
file(STRINGS "${boost_folder}/boost/version.hpp" boost_version REGEX "^#define BOOST_VERSION [0-9]+")
string(REGEX REPLACE "[^0-9]" "" boost_version "${boost_version}")
if(boost_version LESS boost_least)
  message(FATAL_ERROR "Boost in ${boost_folder} is ${boost_version}; ${boost_least} (1.83) or later is needed. ${boost_advice}")
endif()
message(STATUS "Boost headers: ${boost_folder} (${boost_version})")
if(CMAKE_CROSSCOMPILING AND EXISTS "${boost_folder}/stdio.h")
  # A folder with this machine's C library beside Boost must not come before the other machine's.
  file(MAKE_DIRECTORY "${CMAKE_BINARY_DIR}/boost_only")
  file(CREATE_LINK "${boost_folder}/boost" "${CMAKE_BINARY_DIR}/boost_only/boost" SYMBOLIC)
  set(boost_folder "${CMAKE_BINARY_DIR}/boost_only")
endif()
set(FEWBINS_BOOST_FOLDER "${boost_folder}")
