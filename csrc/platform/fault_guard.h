// The fault guard: pages that vanish under a mapping become zeros and a count, not a dead process.
//
// A file that is truncated while it is mapped, a disk that fills up or fails: touching such a page
// raises SIGBUS. The guard's handler looks the address up in a table of our mappings, lays zero
// pages over what is gone, counts, and lets the access go on. Whoever ran over the bytes compares
// the count before and after and reports the loss. Addresses that are not ours go to the handler
// that was there before, so that everything else behaves as without us.
//
// Owns: the process's SIGBUS handler, from the first mapping on; one table row per mapping.
// Threads: thread-safe. The handler uses atomics and system calls only.
// Attached: not needed.
// Fails: OSError when the table is full or the handler cannot be installed.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/status.h"

namespace spanflow::platform {

// What the guard must know of a mapping of a file.
struct MappingInfo {
  const std::byte* address;  // any address inside the first page
  int64_t nbytes;
  bool writable;
  bool is_private;                    // copy on write: changed pages exist nowhere else
  int descriptor;                     // open as long as the mapping is watched
  int64_t file_offset;                // of `address`
  const std::string* path = nullptr;  // for messages; lives as long as the mapping is watched
};

// Watches one mapping from Watch to Unwatch (or its destruction). Unwatch before munmap: when it
// returns, no handler will touch the mapping any more.
class GuardedMapping {
 public:
  GuardedMapping() = default;
  GuardedMapping(const GuardedMapping&) = delete;
  GuardedMapping& operator=(const GuardedMapping&) = delete;
  ~GuardedMapping() { Unwatch(); }

  base::Status Watch(const MappingInfo& mapping);
  void Unwatch();

  // How often pages were replaced by zeros. Never goes back; a damaged mapping stays damaged.
  uint64_t faults() const { return faults_.load(std::memory_order_acquire); }
  // Asks for the size of the file and counts one fault when it ends before the mapping does. Only
  // while the mapping is watched.
  void CheckFileEnd() const;

 private:
  std::atomic<uint64_t> faults_{0};
  int row_ = -1;
};

// Bytes that somebody else shows us and that may lie in a watched mapping: a NumPy array over one
// of our arrays. It keeps nothing alive; once the mapping is gone it counts nothing.
class GuardedRange {
 public:
  GuardedRange() = default;
  GuardedRange(const std::byte* address, int64_t nbytes);

  bool guarded() const { return row_ >= 0; }  // whether it was in a mapping when this was made
  uint64_t faults() const;                    // of the mapping, after CheckFileEnd
  std::string path() const;

 private:
  uintptr_t address_ = 0;
  int row_ = -1;
};

// Puts the handler back in front if somebody installed another one over it (as enabling
// faulthandler does); that other one is called for addresses that are not ours. One system call
// when nothing changed. Does nothing before the first mapping.
void EnsureFaultGuard();

}  // namespace spanflow::platform
