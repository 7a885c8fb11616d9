#include "platform/fault_table.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "platform/pages.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22  // Linux 5.14
#endif

namespace spanflow::platform {
namespace {

// `begin` is set last and cleared first: the other members are valid while it is not 0. A handler
// counts itself among the visitors before it trusts a row, and the row is reused only when there
// are none, so that a late handler can never touch memory that belongs to somebody else by now.
struct alignas(64) Row {
  std::atomic<bool> taken{false};
  std::atomic<uint32_t> visitors{0};
  std::atomic<uintptr_t> begin{0};    // of the first page
  std::atomic<uintptr_t> end{0};      // of the last page
  std::atomic<uintptr_t> covered{0};  // from here to `end` lie zero pages already
  std::atomic<uint64_t>* faults = nullptr;
  std::atomic<bool> cut_off{false};  // the file was seen to end before the mapping
  const std::string* path = nullptr;
  int64_t file_offset = 0;  // of `begin`
  int64_t file_end = 0;     // where the last byte of the mapping lies in the file, plus one
  int descriptor = 0;
  bool writable = false;
  bool is_private = false;

  bool Holds(uintptr_t address) const {
    const uintptr_t from = begin.load(std::memory_order_seq_cst);
    return from != 0 && address >= from && address < end.load(std::memory_order_relaxed);
  }
};

// While it lasts, the row is not given to another mapping. ok() when it holds the address.
class Visit {
 public:
  Visit(Row& row, uintptr_t address) : row_(row) {
    row_.visitors.fetch_add(1, std::memory_order_seq_cst);
    ok_ = row_.Holds(address);
  }
  ~Visit() { row_.visitors.fetch_sub(1, std::memory_order_seq_cst); }
  Visit(const Visit&) = delete;
  Visit& operator=(const Visit&) = delete;
  bool ok() const { return ok_; }

 private:
  Row& row_;
  bool ok_;
};

// All zero bits: no space in the binary, and no memory for rows that were never used.
constinit Row rows[kFaultRows];
constinit std::atomic<int> rows_used{0};         // rows behind these were never taken
constinit std::atomic<uintptr_t> page_bytes{0};  // sysconf is not for signal handlers

// System calls below go through syscall(): a sanitizer's interceptors have no place in a handler.
bool LayZeroPages(uintptr_t begin, uintptr_t end, bool writable) {
  const long outcome =
      syscall(SYS_mmap, begin, end - begin, writable ? PROT_READ | PROT_WRITE : PROT_READ,
              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0L);
  return outcome == static_cast<long>(begin);
}

// -1 when it cannot be had.
int64_t FileSize(const Row& row) { return syscall(SYS_lseek, row.descriptor, 0L, SEEK_END); }

// Where to stop covering. Behind the end of the file everything is gone. In front of it a single
// page failed (a bad sector, no space for it): its neighbours may be good, so only the page itself,
// but twice as many each time, or a dead disk would cost a fault for every page of it. Pages of a
// private mapping may hold the only copy of what was written there: one at a time.
uintptr_t CoverUntil(const Row& row, uintptr_t page, uintptr_t covered) {
  const auto bytes = page_bytes.load(std::memory_order_relaxed);
  const int64_t at =
      row.file_offset + static_cast<int64_t>(page - row.begin.load(std::memory_order_relaxed));
  if (at >= FileSize(row)) return covered;  // also when the size cannot be had (-1)
  const uint64_t doublings =
      row.is_private ? 0 : std::min<uint64_t>(row.faults->load(std::memory_order_relaxed), 30);
  const uintptr_t length = bytes << doublings;
  return length < covered - page ? page + length : covered;
}

bool Cover(Row& row, uintptr_t address) {
  const auto bytes = page_bytes.load(std::memory_order_relaxed);
  const uintptr_t page = address / bytes * bytes;
  uintptr_t covered = row.covered.load(std::memory_order_acquire);
  if (page >= covered) return true;  // another thread was here first: try the access again
  const uintptr_t until = CoverUntil(row, page, covered);
  const bool to_the_end = until == covered;
  // All at once, or, when the system refuses so much, at least what was touched.
  if (LayZeroPages(page, until, row.writable)) {
    while (to_the_end && page < covered &&
           !row.covered.compare_exchange_weak(covered, page, std::memory_order_acq_rel)) {
    }
  } else if (!LayZeroPages(page, page + bytes, row.writable)) {
    return false;
  }
  row.faults->fetch_add(1, std::memory_order_acq_rel);
  return true;
}

}  // namespace

int TakeRow(const MappingInfo& mapping, std::atomic<uint64_t>* faults) {
  const auto bytes = static_cast<uintptr_t>(PageSize());
  page_bytes.store(bytes, std::memory_order_relaxed);
  for (int i = 0; i < kFaultRows; ++i) {
    Row& row = rows[i];
    if (row.taken.load(std::memory_order_relaxed)) continue;
    if (row.taken.exchange(true, std::memory_order_acquire)) continue;
    const auto address = reinterpret_cast<uintptr_t>(mapping.address);
    const uintptr_t begin = address / bytes * bytes;
    const uintptr_t end =
        (address + static_cast<uintptr_t>(mapping.nbytes) + bytes - 1) / bytes * bytes;
    row.faults = faults;
    row.path = mapping.path;
    row.cut_off.store(false, std::memory_order_relaxed);
    row.file_offset = mapping.file_offset - static_cast<int64_t>(address - begin);
    row.file_end = mapping.file_offset + mapping.nbytes;
    row.descriptor = mapping.descriptor;
    row.writable = mapping.writable;
    row.is_private = mapping.is_private;
    row.end.store(end, std::memory_order_relaxed);
    row.covered.store(end, std::memory_order_relaxed);
    row.begin.store(begin, std::memory_order_seq_cst);
    int used = rows_used.load(std::memory_order_relaxed);
    while (used <= i && !rows_used.compare_exchange_weak(used, i + 1, std::memory_order_acq_rel)) {
    }
    return i;
  }
  return -1;
}

void GiveBackRow(int index) {
  Row& row = rows[index];
  row.begin.store(0, std::memory_order_seq_cst);
  while (row.visitors.load(std::memory_order_seq_cst) != 0) std::this_thread::yield();
  row.taken.store(false, std::memory_order_release);
}

bool CoverMissingPages(uintptr_t address) {
  const int used = rows_used.load(std::memory_order_acquire);
  for (int i = 0; i < used; ++i) {
    Row& row = rows[i];
    if (!row.Holds(address)) continue;
    const Visit visit(row, address);
    if (visit.ok() && Cover(row, address)) return true;
  }
  return false;
}

void CheckFileEnd(int index) {
  Row& row = rows[index];
  if (FileSize(row) >= row.file_end) return;
  if (!row.cut_off.exchange(true)) row.faults->fetch_add(1, std::memory_order_acq_rel);
}

int FindRow(uintptr_t address, int64_t nbytes) {
  if (nbytes <= 0) return -1;
  const int used = rows_used.load(std::memory_order_acquire);
  for (int i = 0; i < used; ++i) {
    if (rows[i].Holds(address) && rows[i].Holds(address + static_cast<uintptr_t>(nbytes) - 1)) {
      return i;
    }
  }
  return -1;
}

uint64_t FaultsAt(int index, uintptr_t address) {
  const Visit visit(rows[index], address);
  if (!visit.ok()) return 0;
  CheckFileEnd(index);
  return rows[index].faults->load(std::memory_order_acquire);
}

std::string PathAt(int index, uintptr_t address) {
  const Visit visit(rows[index], address);
  return visit.ok() && rows[index].path != nullptr ? *rows[index].path : std::string();
}

bool IsPagePresent(uintptr_t address) {
  const auto bytes = page_bytes.load(std::memory_order_relaxed);
  return syscall(SYS_madvise, address / bytes * bytes, bytes, MADV_POPULATE_READ) == 0;
}

void ForgetVisitors() {
  const int used = rows_used.load(std::memory_order_relaxed);
  for (int i = 0; i < used; ++i) rows[i].visitors.store(0, std::memory_order_relaxed);
}

}  // namespace spanflow::platform
