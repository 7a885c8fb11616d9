#include "platform/wake.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "platform/os_error.h"

namespace spanflow::platform {

base::Result<Wake> Wake::Make() {
  const int descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (descriptor < 0) return OsError(errno, "", "making an event descriptor");
  return Wake(descriptor);
}

Wake::~Wake() {
  if (descriptor_ >= 0) close(descriptor_);
}

void Wake::Notify() const {
  const uint64_t one = 1;
  // It fails only when the counter is full, and then the descriptor is readable.
  [[maybe_unused]] const ssize_t written = write(descriptor_, &one, sizeof one);
}

}  // namespace spanflow::platform
