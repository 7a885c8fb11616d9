#include "array/run.h"

#include <cerrno>

namespace spanflow::array {

using base::Status;

RunScope::~RunScope() {
  for (int i = 0; i < count_; ++i) held_[i]->Return(memory::Borrower::kKernel);
  for (memory::Block* block : more_) block->Return(memory::Borrower::kKernel);
}

Status RunScope::AddBlock(memory::Block* block) {
  for (const memory::Block* held : more_) {
    if (held == block) return Status::Ok();
  }
  if (count_ == kInline) more_.reserve(more_.size() + 1);  // may throw, so before the borrow
  if (!block->TryBorrow(memory::Borrower::kKernel)) {
    return Status::Value("operation on a closed array");
  }
  // Heap memory cannot lose pages, so it costs no virtual call.
  const bool watched = block->kind() != memory::BlockKind::kHeap;
  // Asking also puts the guard against missing pages back in front of a handler that replaced it.
  if (watched) static_cast<void>(block->faults());
  watching_ = watching_ || watched;
  if (count_ < kInline)
    held_[count_++] = block;
  else
    more_.push_back(block);
  return Status::Ok();
}

Status RunScope::CheckFaults() const {
  const auto check = [](const memory::Block& block) {
    if (block.kind() == memory::BlockKind::kHeap || block.faults() == 0) return Status::Ok();
    return Status::Os(EIO,
                      "pages of the mapping are missing (the file was truncated or its device "
                      "failed): the result is not valid; open the file again",
                      block.description());
  };
  for (int i = 0; i < count_; ++i) SPANFLOW_TRY(check(*held_[i]));
  for (const memory::Block* block : more_) SPANFLOW_TRY(check(*block));
  return Status::Ok();
}

}  // namespace spanflow::array
