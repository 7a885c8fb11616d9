#include "array/run.h"

#include <cerrno>

namespace spanflow::array {

using base::Status;

RunScope::~RunScope() {
  for (int i = 0; i < count_; ++i) held_[i].block->Return(memory::Borrower::kKernel);
  for (const Held& held : more_) held.block->Return(memory::Borrower::kKernel);
}

Status RunScope::AddBlock(memory::Block* block) {
  for (const Held& held : more_) {
    if (held.block == block) return Status::Ok();
  }
  if (count_ == kInline) more_.reserve(more_.size() + 1);  // may throw, so before the borrow
  if (!block->TryBorrow(memory::Borrower::kKernel)) {
    return Status::Value("operation on a closed array");
  }
  // Heap memory cannot lose pages, so it costs no virtual call.
  const bool watched = block->kind() != memory::BlockKind::kHeap;
  const Held held{block, watched ? block->faults() : 0};
  watching_ = watching_ || watched;
  if (count_ < kInline) held_[count_++] = held;
  else more_.push_back(held);
  return Status::Ok();
}

Status RunScope::CheckFaults() const {
  const auto check = [](const Held& held) {
    if (held.block->kind() == memory::BlockKind::kHeap) return Status::Ok();
    if (held.block->faults() == held.faults) return Status::Ok();
    return Status::Os(EIO,
                      "pages were missing while an operation ran over them (the file was truncated "
                      "or its device failed): the result is not valid; open the file again",
                      held.block->description());
  };
  for (int i = 0; i < count_; ++i) SPANFLOW_TRY(check(held_[i]));
  for (const Held& held : more_) SPANFLOW_TRY(check(held));
  return Status::Ok();
}

}  // namespace spanflow::array
