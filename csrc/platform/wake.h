// Wake: a descriptor that becomes readable when another thread asks for it, to end a poll().
//
// Owns: the descriptor. Threads: Notify may be called by any thread while the object lives.
// Attached: not needed; never waits. Fails: Make returns an OSError when there are no descriptors.
#pragma once

#include <utility>

#include "base/status.h"

namespace spanflow::platform {

class Wake {
 public:
  static base::Result<Wake> Make();
  Wake(Wake&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Wake& operator=(Wake&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~Wake();

  // The descriptor stays readable until its 8 bytes are read, which never waits.
  int descriptor() const { return descriptor_; }
  void Notify() const;

 private:
  explicit Wake(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

}  // namespace spanflow::platform
