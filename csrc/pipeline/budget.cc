#include "pipeline/budget.h"

namespace spanflow::pipeline {
namespace {

class CreditedBlock final : public memory::Block {
 public:
  CreditedBlock(memory::BlockRef block, Credit credit)
      : Block(block->address(), block->nbytes(), block->kind(), block->readonly()),
        block_(std::move(block)),
        credit_(std::move(credit)) {}

  uint64_t faults() const override { return block_->faults(); }
  std::string description() const override { return block_->description(); }
  base::Status Flush() override { return block_->Flush(); }

 protected:
  void ReleaseBytes() noexcept override {
    block_ = {};
    credit_ = {};
  }

 private:
  memory::BlockRef block_;
  Credit credit_;
};

}  // namespace

bool Budget::TryTake(int64_t nbytes) {
  int64_t used = used_.load();
  do {
    if (used > limit_ - nbytes) return false;
  } while (!used_.compare_exchange_weak(used, used + nbytes));
  RaisePeak(used + nbytes);
  return true;
}

void Budget::Take(int64_t nbytes) { RaisePeak(used_.fetch_add(nbytes) + nbytes); }

void Budget::RaisePeak(int64_t used) {
  int64_t peak = peak_.load(std::memory_order_relaxed);
  while (used > peak && !peak_.compare_exchange_weak(peak, used, std::memory_order_relaxed)) {
  }
}

void Budget::Give(int64_t nbytes) {
  used_.fetch_sub(nbytes);
  if (!wanted.load() || runtime::ForkCount() != forks_) return;  // nobody waits in a forked child
  if (wanted.exchange(false)) freed_.NotifyAll();
}

base::Status Budget::CheckItem(int64_t nbytes) const {
  if (!strict_ || nbytes <= limit_) return base::Status::Ok();
  return base::Status::Value("one item needs " + std::to_string(nbytes) +
                             " bytes, but the run may hold " + std::to_string(limit_) +
                             ": make the items smaller (rows=) or allow more (memory=)");
}

base::Status HeldBack::Add(const std::string& stage, int64_t nbytes) {
  nbytes_ += nbytes;
  const int64_t all = budget_->held_back_.fetch_add(nbytes) + nbytes;
  if (all <= budget_->limit()) return base::Status::Ok();
  const std::string others =
      all == nbytes_ ? "" : " and other stages " + std::to_string(all - nbytes_) + " bytes";
  return base::Status::Value(stage + " holds back " + std::to_string(nbytes_) + " bytes" + others +
                             ", but the run may hold " + std::to_string(budget_->limit()) +
                             ": let it hold fewer or smaller items, or allow more (memory=)");
}

memory::BlockRef WithCredit(memory::BlockRef block, Credit credit) {
  return memory::BlockRef::Adopt(new CreditedBlock(std::move(block), std::move(credit)));
}

}  // namespace spanflow::pipeline
