# SPDX-License-Identifier: Apache-2.0
# Sets FEWBINS_COMMIT: what git says in a checkout, what the file COMMIT says in an sdist, else "unknown".
set(FEWBINS_COMMIT "unknown")
set(commit_file "${CMAKE_CURRENT_LIST_DIR}/../COMMIT")
if(EXISTS "${CMAKE_CURRENT_LIST_DIR}/../.git")
  # safe.directory: git answers in a container too, where another user owns the checkout.
  execute_process(
    COMMAND git -c safe.directory=* rev-parse --short=9 HEAD
    WORKING_DIRECTORY "${CMAKE_CURRENT_LIST_DIR}" OUTPUT_VARIABLE commit_of_git OUTPUT_STRIP_TRAILING_WHITESPACE
    RESULT_VARIABLE commit_missing ERROR_QUIET)
  if(commit_missing STREQUAL "0")
    set(FEWBINS_COMMIT "${commit_of_git}")
    # The next commit configures anew, so that what is built never names an older one.
    execute_process(
      COMMAND git -c safe.directory=* rev-parse --path-format=absolute --git-path logs/HEAD
      WORKING_DIRECTORY "${CMAKE_CURRENT_LIST_DIR}" OUTPUT_VARIABLE commit_log OUTPUT_STRIP_TRAILING_WHITESPACE
      ERROR_QUIET)
    if(EXISTS "${commit_log}")
      set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${commit_log}")
    endif()
  endif()
elseif(EXISTS "${commit_file}")
  file(READ "${commit_file}" FEWBINS_COMMIT LIMIT 40)
  string(STRIP "${FEWBINS_COMMIT}" FEWBINS_COMMIT)
endif()
if(NOT FEWBINS_COMMIT MATCHES "^[0-9a-z]+$")
  set(FEWBINS_COMMIT "unknown")
endif()
