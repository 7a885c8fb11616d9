// OsError: an errno value as a Status, in the system's own words.
//
// Owns: nothing. Threads: thread-safe. Attached: not needed. Fails: never.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace spanflow::platform {

// "No such file or directory"; unknown numbers give "error 12345".
std::string ErrorText(int error);

// Code::kOs with the text of `error`, and what was being done when it helps: "No space left on
// device (reserving 4096 bytes)".
base::Status OsError(int error, const std::string& path, std::string_view doing = {});

}  // namespace spanflow::platform
