#include "platform/pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "platform/os_error.h"

// Linux 5.14; older headers do not name them, older kernels answer EINVAL.
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

namespace spanflow::platform {
namespace {

using base::Status;

// Whole pages around or inside a range of bytes.
struct PageRange {
  uintptr_t begin;
  uintptr_t end;

  static PageRange Around(const std::byte* address, int64_t nbytes) {
    const auto page = static_cast<uintptr_t>(PageSize());
    const auto first = reinterpret_cast<uintptr_t>(address);
    return {first / page * page, (first + static_cast<uintptr_t>(nbytes) + page - 1) / page * page};
  }
  static PageRange Inside(const std::byte* address, int64_t nbytes) {
    const auto page = static_cast<uintptr_t>(PageSize());
    const auto first = reinterpret_cast<uintptr_t>(address);
    return {(first + page - 1) / page * page,
            (first + static_cast<uintptr_t>(nbytes)) / page * page};
  }
  void* address() const { return reinterpret_cast<void*>(begin); }
  size_t nbytes() const { return end > begin ? end - begin : 0; }
};

// What kernels without MADV_POPULATE_* need: one access per page. Missing pages are left to the
// fault guard, which counts them.
void Touch(const PageRange& range, Access access) {
  for (uintptr_t at = range.begin; at < range.end; at += static_cast<uintptr_t>(PageSize())) {
    auto* byte = reinterpret_cast<uint8_t*>(at);
    if (access == Access::kRead) {
      [[maybe_unused]] const auto value = *const_cast<volatile uint8_t*>(byte);
    } else {
      __atomic_fetch_or(byte, uint8_t{0}, __ATOMIC_RELAXED);  // others may be writing here
    }
  }
}

int AdviceFlag(Advice advice) {
  switch (advice) {
    case Advice::kSequential:
      return MADV_SEQUENTIAL;
    case Advice::kWillNeed:
      return MADV_WILLNEED;
    case Advice::kHugePages:
      return MADV_HUGEPAGE;
    case Advice::kNormal:
      break;
  }
  return MADV_NORMAL;
}

}  // namespace

int64_t PageSize() {
  static const int64_t size = sysconf(_SC_PAGESIZE);
  return size;
}

Status Populate(const std::byte* address, int64_t nbytes, Access access) {
  if (nbytes <= 0) return Status::Ok();
  const PageRange range = PageRange::Around(address, nbytes);
  const int advice = access == Access::kRead ? MADV_POPULATE_READ : MADV_POPULATE_WRITE;
  int outcome;
  do {
    outcome = madvise(range.address(), range.nbytes(), advice);
  } while (outcome != 0 && (errno == EINTR || errno == EAGAIN));
  if (outcome == 0) return Status::Ok();
  if (errno == EINVAL) {
    Touch(range, access);
    return Status::Ok();
  }
  if (errno == EFAULT) {
    return Status::Os(EFAULT,
                      "bytes behind the mapping are gone: the file became shorter, or its "
                      "disk is full or failed");
  }
  return OsError(errno, {}, "making pages present");
}

void Advise(const std::byte* address, int64_t nbytes, Advice advice) {
  if (nbytes <= 0) return;
  const PageRange range = advice == Advice::kHugePages ? PageRange::Inside(address, nbytes)
                                                       : PageRange::Around(address, nbytes);
  if (range.nbytes() > 0) madvise(range.address(), range.nbytes(), AdviceFlag(advice));
}

Status SyncPages(const std::byte* address, int64_t nbytes) {
  if (nbytes <= 0) return Status::Ok();
  const PageRange range = PageRange::Around(address, nbytes);
  int outcome;
  do {
    outcome = msync(range.address(), range.nbytes(), MS_SYNC);
  } while (outcome != 0 && errno == EINTR);
  return outcome == 0 ? Status::Ok() : OsError(errno, {}, "writing back");
}

int NoReserveFlag() { return MAP_NORESERVE; }

}  // namespace spanflow::platform
