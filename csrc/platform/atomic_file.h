// AtomicFile: replaces a file as a whole, or leaves it exactly as it was.
//
// Owns: a temporary file beside the target until Commit; it is removed if Commit never comes.
// Threads: thread-compatible. Attached: not needed; everything here may wait for the disk.
// Fails: OSError. Whatever fails before the rename, the old file keeps its bytes and its name.
//
// Whoever has the old file open or mapped keeps the old bytes: the name moves, nothing is
// truncated. A symbolic link stays a link; what it names is replaced, or made. The new file has the
// permissions (and, where allowed, the owner) of the old one, or those that the umask gives.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "base/status.h"
#include "platform/file.h"

namespace spanflow::platform {

class AtomicFile {
 public:
  AtomicFile(AtomicFile&& other) noexcept
      : file_(std::move(other.file_)),
        target_(std::move(other.target_)),
        temporary_(std::exchange(other.temporary_, {})) {}
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile();

  static base::Result<AtomicFile> Create(const std::string& path);

  // The temporary file, open for reading and writing.
  File& file() { return file_; }

  // Bytes to the device, name to the new file, name to the device. `stop` is asked last of all
  // before the name moves. When only the last step fails, the new file has its name, and the error
  // says so.
  base::Status Commit(const StopFn& stop = {}) &&;

 private:
  AtomicFile() = default;

  File file_;
  std::string target_;     // with symbolic links resolved
  std::string temporary_;  // empty once it is renamed or moved from
};

}  // namespace spanflow::platform
