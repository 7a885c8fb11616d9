#include "memory/block.h"

namespace spanflow::memory {
namespace {

constexpr uint64_t kMostBorrows = (uint64_t{1} << 21) - 1;

void AppendCount(std::string& text, int64_t count, const char* what) {
  if (count == 0) return;
  if (!text.empty()) text += " and ";
  text += std::to_string(count) + ' ' + what + (count == 1 ? "" : "s");
}

}  // namespace

const char* NameOf(BlockKind kind) {
  switch (kind) {
    case BlockKind::kHeap:
      return "heap";
    case BlockKind::kMapped:
      return "mapped";
    case BlockKind::kForeign:
      break;
  }
  return "foreign";
}

bool Block::TryBorrow(Borrower who) {
  const int shift = static_cast<int>(who) * kBitsPerBorrower;
  uint64_t state = state_.load(std::memory_order_relaxed);
  do {
    if ((state & kClosed) != 0 || (state >> shift & kMostBorrows) == kMostBorrows) return false;
  } while (!state_.compare_exchange_weak(state, state + (uint64_t{1} << shift),
                                         std::memory_order_acquire, std::memory_order_relaxed));
  return true;
}

void Block::Return(Borrower who) {
  // Release: what was read and written through the borrow happened before the bytes go.
  state_.fetch_sub(uint64_t{1} << (static_cast<int>(who) * kBitsPerBorrower),
                   std::memory_order_release);
}

int64_t Block::borrows(Borrower who) const {
  const uint64_t state = state_.load(std::memory_order_relaxed);
  return static_cast<int64_t>(state >> (static_cast<int>(who) * kBitsPerBorrower) & kMostBorrows);
}

base::Status Block::Close() {
  uint64_t state = 0;
  if (state_.compare_exchange_strong(state, kClosed, std::memory_order_acq_rel)) {
    ReleaseBytes();
    return base::Status::Ok();
  }
  if ((state & kClosed) != 0) return base::Status::Ok();
  std::string users;
  const auto count = [state](Borrower who) {
    return static_cast<int64_t>(state >> (static_cast<int>(who) * kBitsPerBorrower) & kMostBorrows);
  };
  AppendCount(users, count(Borrower::kExport), "exported buffer");
  AppendCount(users, count(Borrower::kKernel), "running operation");
  AppendCount(users, count(Borrower::kPipeline), "running pipeline");
  return base::Status::Buffer("cannot close: still in use by " + users +
                              "; release or finish them first");
}

void Block::Drop() {
  if (references_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  // Nobody can borrow without a reference, so only "closed or not" is left to ask.
  if (!closed()) ReleaseBytes();
  Destroy();
}

}  // namespace spanflow::memory
