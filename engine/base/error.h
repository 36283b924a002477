// SPDX-License-Identifier: Apache-2.0
// Errors of the engine. A message is one line: what is wrong, the value, where, and what to do.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

namespace fewbins {

// The kinds of error; the numbers are those of the C ABI (fewbins.h) and never change.
enum class ErrorCode : int {
  ok = 0,
  invalid_argument = 1,  // an option or argument that makes no sense
  model_file = 2,        // a file that is truncated, corrupt, over a limit, or of an unknown version
  unsupported = 3,       // something correct that this engine does not do
  io = 4,                // the operating system refused to open, read or write
  out_of_memory = 5,
  internal = 6,  // a state that should be impossible
  shape = 7,     // sizes that do not fit the model
};

class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  [[nodiscard]] ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

// Throws Error with the parts written one after the other: fail(ErrorCode::model_file, "node '", name, "': ...").
template <class... Parts>
[[noreturn]] void fail(ErrorCode code, Parts&&... parts) {
  std::ostringstream text;
  (text << ... << std::forward<Parts>(parts));
  throw Error(code, text.str());
}

}  // namespace fewbins
