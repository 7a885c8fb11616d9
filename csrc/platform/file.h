// File: an open regular file.
//
// Owns: the descriptor, closed with the object. Never inherited by a started program (O_CLOEXEC).
// Threads: thread-compatible; reads and writes at a position may run in parallel.
// Attached: not needed; everything here may wait for the disk.
// Fails: OSError with the path. Directories, FIFOs, sockets and devices are refused at once,
// without waiting for a writer at the other end and without disturbing one that is there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "base/status.h"

namespace spanflow::platform {

enum class OpenMode { kRead, kReadWrite };

// Asked now and then by what may take long: true ends it with Code::kCancelled.
using StopFn = std::function<bool()>;

class File {
 public:
  File() = default;
  File(File&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, -1)), path_(std::move(other.path_)) {}
  File& operator=(File&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    std::swap(path_, other.path_);
    return *this;
  }
  ~File() { Close(); }

  static base::Result<File> Open(const std::string& path, OpenMode mode);
  // A new file without a name, of memory: gone with its last descriptor and mapping. `name` is for
  // messages and /proc.
  static base::Result<File> Anonymous(const std::string& name);
  // Takes over a descriptor that is open already; `path` is for messages.
  static File Adopt(int descriptor, std::string path);
  // A second descriptor of the same open file.
  base::Result<File> Duplicate() const;

  bool is_open() const { return descriptor_ >= 0; }
  int descriptor() const { return descriptor_; }
  int Release() { return std::exchange(descriptor_, -1); }  // the caller closes it
  const std::string& path() const { return path_; }
  // An absolute path under which this very file is found now; empty where there is none any more.
  std::string CurrentPath() const;

  base::Result<int64_t> Size() const;
  // Up to `nbytes` from `offset`; fewer only at the end of the file.
  base::Result<int64_t> ReadAt(int64_t offset, std::byte* into, int64_t nbytes) const;
  // All of the bytes at the current end of what was written, or an error.
  base::Status Write(const std::byte* from, int64_t nbytes);
  // The file is at least this long afterwards and its blocks are reserved: a full disk is an error
  // here, not a lost page later.
  base::Status Reserve(int64_t nbytes, const StopFn& stop = {});
  base::Status Sync() const;  // bytes and size are on the device when it returns
  void Close();

 private:
  int descriptor_ = -1;
  std::string path_;
};

}  // namespace spanflow::platform
