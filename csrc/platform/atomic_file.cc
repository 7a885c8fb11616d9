#include "platform/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>

#include "platform/os_error.h"

namespace spanflow::platform {
namespace {

using base::Result;
using base::Status;

constexpr int kMostLinks = 40;  // one behind the other, as in Linux

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// Where a symbolic link points to, or nothing when the path is none.
std::optional<std::string> LinkedPath(const std::string& path) {
  char text[PATH_MAX];
  const ssize_t size = readlink(path.c_str(), text, sizeof(text));
  if (size <= 0) return std::nullopt;
  const std::string target(text, static_cast<size_t>(size));
  return target[0] == '/' ? target : FolderOf(path) + "/" + target;
}

// The file that the path names in the end, so that renaming does not replace a symbolic link; not
// even one whose target does not exist yet.
std::string ResolveLinks(const std::string& path) {
  const std::unique_ptr<char, void (*)(void*)> resolved(realpath(path.c_str(), nullptr), std::free);
  if (resolved) return resolved.get();
  if (errno != ENOENT) return path;  // a circle of links, among others
  std::string target = path;
  for (int links = 0; links < kMostLinks; ++links) {
    const auto next = LinkedPath(target);
    if (!next) break;
    target = *next;
  }
  return target;
}

// What an existing file looks like, or nothing. It must be a regular file that we may write.
Result<std::optional<struct stat>> InspectTarget(const std::string& target,
                                                 const std::string& path) {
  struct stat info;
  if (stat(target.c_str(), &info) != 0) {
    if (errno == ENOENT) return std::optional<struct stat>();
    return OsError(errno, path);
  }
  if (S_ISDIR(info.st_mode)) return OsError(EISDIR, path);
  if (!S_ISREG(info.st_mode)) {
    return Status::Os(EINVAL, "is not a regular file and cannot be replaced by one", path);
  }
  if (faccessat(AT_FDCWD, target.c_str(), W_OK, AT_EACCESS) != 0) return OsError(errno, path);
  return std::optional(info);
}

// A new file of a name that nobody has. The name is short and does not grow from the target's,
// which may be as long as the file system allows.
int OpenTemporary(const std::string& folder, mode_t mode, std::string* name) {
  static std::atomic<unsigned> counter{0};
  int descriptor;
  do {
    *name = folder + "/.spanflow-" + std::to_string(getpid()) + "-" +
            std::to_string(counter.fetch_add(1, std::memory_order_relaxed)) + ".tmp";
    descriptor = open(name->c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
  } while (descriptor < 0 && (errno == EEXIST || errno == EINTR));
  return descriptor;
}

void TakeOverOwner(int descriptor, const struct stat& old) {
  // Only root may give files away; for everybody else the new file is simply their own.
  if (old.st_uid != geteuid() || old.st_gid != getegid()) {
    [[maybe_unused]] const int ignored = fchown(descriptor, old.st_uid, old.st_gid);
  }
  fchmod(descriptor, old.st_mode & 0777);
}

// A renamed file may lose its name in a power cut until its folder is on the device too. Folders
// that cannot be opened or synced (some network file systems) are left to the system.
Status SyncFolder(const std::string& folder, const std::string& path) {
  const int descriptor = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return Status::Ok();
  const File file = File::Adopt(descriptor, path);
  const Status status = file.Sync();
  if (status.os_error() != EIO && status.os_error() != ENOSPC) return Status::Ok();
  return Status::Os(status.os_error(),
                    status.message() +
                        "; the new file is in its place, but its folder is not on "
                        "the disk: a power cut may still bring the old one back",
                    path);
}

}  // namespace

Result<AtomicFile> AtomicFile::Create(const std::string& path) {
  AtomicFile atomic;
  atomic.target_ = ResolveLinks(path);
  SPANFLOW_ASSIGN(const std::optional<struct stat> old, InspectTarget(atomic.target_, path));
  std::string name;
  const int descriptor = OpenTemporary(FolderOf(atomic.target_), old ? 0600 : 0666, &name);
  if (descriptor < 0) return OsError(errno, path);
  atomic.file_ = File::Adopt(descriptor, path);
  atomic.temporary_ = std::move(name);
  if (old) TakeOverOwner(descriptor, *old);
  return atomic;
}

AtomicFile::~AtomicFile() {
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

Status AtomicFile::Commit(const StopFn& stop) && {
  SPANFLOW_TRY(file_.Sync());
  if (stop && stop()) return Status::Cancelled();
  if (std::rename(temporary_.c_str(), target_.c_str()) != 0) return OsError(errno, file_.path());
  temporary_.clear();
  return SyncFolder(FolderOf(target_), file_.path());
}

}  // namespace spanflow::platform
