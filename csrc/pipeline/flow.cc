// take, skip and shuffle: which items go on, and in which order, whatever they hold.

#include <algorithm>
#include <random>

#include "pipeline/stages.h"

namespace spanflow::pipeline {
namespace {

using base::Result;
using base::Status;

// A serial stage whose run is a Run made of the description's `setting`.
template <class Run>
class InOrder final : public Stage {
 public:
  using Setting = typename Run::Setting;

  explicit InOrder(Setting setting) : setting_(setting) {}
  std::string Name() const override { return Run::NameOf(setting_); }
  Mode mode() const override { return Mode::kSerialInOrder; }
  bool grows() const override { return false; }
  Result<std::unique_ptr<StageRun>> Open(Shape* shape) const override {
    if (shape->items >= 0) shape->items = Run::ItemsOf(setting_, shape->items);
    return std::unique_ptr<StageRun>(new Run(setting_));
  }

 private:
  const Setting setting_;
};

class TakeRun final : public StageRun {
 public:
  using Setting = int64_t;  // how many
  static std::string NameOf(int64_t count) { return "take(" + std::to_string(count) + ")"; }
  static int64_t ItemsOf(int64_t count, int64_t items) { return std::min(count, items); }

  explicit TakeRun(int64_t count) : left_(count) {}

  Status Process(Item item, Context& context) override {
    if (left_ > 0) {
      --left_;
      context.Emit(std::move(item));
    }
    if (left_ == 0) context.EndHere();
    return Status::Ok();
  }

 private:
  int64_t left_;
};

class SkipRun final : public StageRun {
 public:
  using Setting = int64_t;  // how many
  static std::string NameOf(int64_t count) { return "skip(" + std::to_string(count) + ")"; }
  static int64_t ItemsOf(int64_t count, int64_t items) {
    return std::max<int64_t>(items - count, 0);
  }

  explicit SkipRun(int64_t count) : left_(count) {}

  Status Process(Item item, Context& context) override {
    if (left_ == 0) {
      context.Emit(std::move(item));
    } else {
      --left_;
    }
    return Status::Ok();
  }

 private:
  int64_t left_;
};

// A number below `bound`, each equally likely (Lemire 2019); the same with every C++ library.
uint64_t Below(std::mt19937_64& engine, uint64_t bound) {
  __extension__ using Wide = unsigned __int128;
  const uint64_t least = -bound % bound;
  while (true) {
    const Wide product = Wide{engine()} * bound;
    if (static_cast<uint64_t>(product) >= least) return static_cast<uint64_t>(product >> 64);
  }
}

class ShuffleRun final : public StageRun {
 public:
  using Setting = ShuffleHow;
  static std::string NameOf(const ShuffleHow& how) {
    return "shuffle(" + std::to_string(how.buffer) + ")";
  }
  static int64_t ItemsOf(const ShuffleHow&, int64_t items) { return items; }

  explicit ShuffleRun(const ShuffleHow& how) : how_(how), engine_(how.seed) {}

  Status Process(Item item, Context& context) override {
    held_ += item->nbytes();
    SPANFLOW_TRY(context.budget()->CheckHeld(NameOf(how_), held_));
    buffer_.push_back(std::move(item));
    if (static_cast<int64_t>(buffer_.size()) > how_.buffer) EmitOne(context);
    return Status::Ok();
  }

  Status Finish(Context& context) override {
    while (!buffer_.empty()) EmitOne(context);
    return Status::Ok();
  }

 private:
  void EmitOne(Context& context) {
    std::swap(buffer_[Below(engine_, buffer_.size())], buffer_.back());
    held_ -= buffer_.back()->nbytes();
    context.Emit(std::move(buffer_.back()));
    buffer_.pop_back();
  }

  const ShuffleHow how_;
  std::mt19937_64 engine_;
  Items buffer_;
  int64_t held_ = 0;  // bytes
};

}  // namespace

std::shared_ptr<const Stage> TakeStage(int64_t count) {
  return std::make_shared<InOrder<TakeRun>>(count);
}

std::shared_ptr<const Stage> SkipStage(int64_t count) {
  return std::make_shared<InOrder<SkipRun>>(count);
}

std::shared_ptr<const Stage> ShuffleStage(const ShuffleHow& how) {
  return std::make_shared<InOrder<ShuffleRun>>(how);
}

}  // namespace spanflow::pipeline
