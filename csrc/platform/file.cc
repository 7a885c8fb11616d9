#include "platform/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "platform/os_error.h"

namespace spanflow::platform {
namespace {

using base::Result;
using base::Status;

// One system call moves at most 2 GiB less a page; a round number below keeps writes aligned.
constexpr int64_t kLargestTransfer = int64_t{1} << 30;

const char* NameOfType(mode_t mode) {
  if (S_ISFIFO(mode)) return "a FIFO";
  if (S_ISSOCK(mode)) return "a socket";
  if (S_ISCHR(mode) || S_ISBLK(mode)) return "a device";
  return "no ordinary file";
}

Status CheckRegular(int descriptor, const std::string& path) {
  struct stat info;
  if (fstat(descriptor, &info) != 0) return OsError(errno, path);
  if (S_ISREG(info.st_mode)) return Status::Ok();
  if (S_ISDIR(info.st_mode)) return OsError(EISDIR, path);
  return Status::Os(
      EINVAL, std::string("is ") + NameOfType(info.st_mode) + "; only regular files can be mapped",
      path);
}

}  // namespace

Result<File> File::Open(const std::string& path, OpenMode mode) {
  // O_NONBLOCK: a FIFO without a writer must be refused below, not waited for.
  const int flags =
      (mode == OpenMode::kRead ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  int descriptor;
  do {
    descriptor = open(path.c_str(), flags);
  } while (descriptor < 0 && errno == EINTR);
  if (descriptor < 0) return OsError(errno, path);
  File file = Adopt(descriptor, path);
  SPANFLOW_TRY(CheckRegular(descriptor, path));
  return file;
}

File File::Adopt(int descriptor, std::string path) {
  File file;
  file.descriptor_ = descriptor;
  file.path_ = std::move(path);
  return file;
}

Result<int64_t> File::Size() const {
  struct stat info;
  if (fstat(descriptor_, &info) != 0) return OsError(errno, path_);
  return int64_t{info.st_size};
}

int64_t File::SizeOrMinusOne() const {
  // The position is nobody's: reads name their offset and writes go to the end.
  return lseek(descriptor_, 0, SEEK_END);
}

Result<int64_t> File::ReadAt(int64_t offset, std::byte* into, int64_t nbytes) const {
  int64_t done = 0;
  while (done < nbytes) {
    const auto part = static_cast<size_t>(std::min(nbytes - done, kLargestTransfer));
    const ssize_t got = pread(descriptor_, into + done, part, offset + done);
    if (got == 0) break;
    if (got > 0) {
      done += got;
    } else if (errno != EINTR) {
      return OsError(errno, path_, "reading");
    }
  }
  return done;
}

Status File::Write(const std::byte* from, int64_t nbytes) {
  int64_t done = 0;
  while (done < nbytes) {
    const auto part = static_cast<size_t>(std::min(nbytes - done, kLargestTransfer));
    const ssize_t written = write(descriptor_, from + done, part);
    if (written > 0) {
      done += written;
    } else if (written == 0 || errno != EINTR) {
      return OsError(written == 0 ? EIO : errno, path_, "writing");
    }
  }
  return Status::Ok();
}

Status File::Reserve(int64_t nbytes) {
  if (nbytes <= 0) return Status::Ok();
  int error;
  do {
    error = posix_fallocate(descriptor_, 0, nbytes);
  } while (error == EINTR);
  if (error == 0) return Status::Ok();
  return OsError(error, path_, "reserving " + std::to_string(nbytes) + " bytes");
}

Status File::Sync() const {
  int outcome;
  do {
    outcome = fsync(descriptor_);
  } while (outcome != 0 && errno == EINTR);
  return outcome == 0 ? Status::Ok() : OsError(errno, path_, "writing back");
}

void File::Close() {
  // The descriptor is gone even when close reports an error; whoever needs to know calls Sync.
  if (descriptor_ >= 0) close(std::exchange(descriptor_, -1));
}

}  // namespace spanflow::platform
