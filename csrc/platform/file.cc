#include "platform/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "platform/os_error.h"

namespace spanflow::platform {
namespace {

using base::Result;
using base::Status;

// One system call moves at most 2 GiB less a page; a round number below keeps writes aligned.
constexpr int64_t kLargestTransfer = int64_t{1} << 30;
constexpr int64_t kLargestReservation = int64_t{1} << 30;
constexpr int64_t kSmallestReservation = int64_t{1} << 20;

const char* NameOfType(mode_t mode) {
  if (S_ISFIFO(mode)) return "a FIFO";
  if (S_ISSOCK(mode)) return "a socket";
  if (S_ISCHR(mode) || S_ISBLK(mode)) return "a device";
  return "no ordinary file";
}

// `outcome` is that of the stat call that filled `info`.
Status CheckRegular(int outcome, const struct stat& info, const std::string& path) {
  if (outcome != 0) return OsError(errno, path);
  if (S_ISREG(info.st_mode)) return Status::Ok();
  if (S_ISDIR(info.st_mode)) return OsError(EISDIR, path);
  return Status::Os(
      EINVAL, std::string("is ") + NameOfType(info.st_mode) + "; only regular files can be mapped",
      path);
}

Status OpenError(int error, const std::string& path) {
  if (error != EMFILE) return OsError(error, path);
  return OsError(error, path,
                 "every mapped array keeps its file open: close() arrays that are not needed, or "
                 "raise the limit with 'ulimit -n' or resource.setrlimit");
}

}  // namespace

Result<File> File::Open(const std::string& path, OpenMode mode) {
  // Asked before it is opened: opening and closing a FIFO as a reader ends the writer at its other
  // end, and some devices do something when they are opened.
  struct stat info;
  SPANFLOW_TRY(CheckRegular(stat(path.c_str(), &info), info, path));
  // Should it become a FIFO in between: O_NONBLOCK, so that no writer is waited for.
  const int flags =
      (mode == OpenMode::kRead ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  int descriptor;
  do {
    descriptor = open(path.c_str(), flags);
  } while (descriptor < 0 && errno == EINTR);
  if (descriptor < 0) return OpenError(errno, path);
  File file = Adopt(descriptor, path);
  SPANFLOW_TRY(CheckRegular(fstat(descriptor, &info), info, path));
  return file;
}

Result<File> File::Anonymous(const std::string& name) {
  const int descriptor = memfd_create(name.c_str(), MFD_CLOEXEC);
  if (descriptor < 0) return OpenError(errno, name);
  return Adopt(descriptor, name);
}

Result<File> File::Duplicate() const {
  const int descriptor = fcntl(descriptor_, F_DUPFD_CLOEXEC, 0);
  if (descriptor < 0) return OpenError(errno, path_);
  return Adopt(descriptor, path_);
}

std::string File::CurrentPath() const {
  struct stat own;
  if (fstat(descriptor_, &own) != 0) return {};
  const std::string link = "/proc/self/fd/" + std::to_string(descriptor_);
  for (const std::string& name : {link, path_}) {
    char* const found = realpath(name.c_str(), nullptr);
    if (found == nullptr) continue;
    std::string path = found;
    std::free(found);
    struct stat other;
    if (stat(path.c_str(), &other) == 0 && other.st_dev == own.st_dev &&
        other.st_ino == own.st_ino) {
      return path;
    }
  }
  return {};
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

// Some file systems start over when a signal comes. A piece that was interrupted is tried again at
// half the size, so that a timer that ticks all the time cannot hold it up for ever.
Status File::Reserve(int64_t nbytes, const StopFn& stop) {
  int64_t piece = kLargestReservation;
  for (int64_t done = 0; done < nbytes;) {
    if (stop && stop()) return Status::Cancelled();
    const int64_t now = std::min(nbytes - done, piece);
    const int error = posix_fallocate(descriptor_, done, now);
    if (error == 0) {
      done += now;
    } else if (error == EINTR) {
      piece = std::max(now / 2, kSmallestReservation);
    } else {
      return OsError(error, path_, "reserving " + std::to_string(nbytes) + " bytes");
    }
  }
  return Status::Ok();
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
