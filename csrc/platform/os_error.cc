#include "platform/os_error.h"

#include <cstring>

namespace spanflow::platform {

std::string ErrorText(int error) {
  char buffer[128];
  // The GNU form: it may use the buffer or return a constant, and works from any thread.
  return strerror_r(error, buffer, sizeof(buffer));
}

base::Status OsError(int error, const std::string& path, std::string_view doing) {
  std::string text = ErrorText(error);
  if (!doing.empty()) text.append(" (").append(doing).append(")");
  return base::Status::Os(error, std::move(text), path);
}

}  // namespace spanflow::platform
