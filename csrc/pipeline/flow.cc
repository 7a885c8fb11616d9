// take, skip, shard, sample and shuffle: which items go on, and in which order, whatever they hold.

#include <algorithm>
#include <optional>
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
    Run::Describe(setting_, shape);
    return std::unique_ptr<StageRun>(new Run(setting_));
  }

 private:
  const Setting setting_;
};

class TakeRun final : public StageRun {
 public:
  using Setting = int64_t;  // how many
  static std::string NameOf(int64_t count) { return "take(" + std::to_string(count) + ")"; }
  static void Describe(int64_t count, Shape* shape) {
    if (shape->items >= 0) shape->items = std::min(count, shape->items);
    if (count == 0) shape->none_wanted = true;
  }

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
  static void Describe(int64_t count, Shape* shape) {
    if (shape->items >= 0) shape->items = std::max<int64_t>(shape->items - count, 0);
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

class ShardRun final : public StageRun {
 public:
  using Setting = ShardHow;
  static std::string NameOf(const ShardHow& how) {
    return "shard(" + std::to_string(how.index) + ", " + std::to_string(how.count) + ")";
  }
  static void Describe(const ShardHow& how, Shape* shape) {
    if (shape->items >= 0) shape->items = (shape->items - how.index + how.count - 1) / how.count;
  }

  explicit ShardRun(const ShardHow& how) : how_(how) {}

  Status Process(Item item, Context& context) override {
    if (seen_++ % how_.count == how_.index) context.Emit(std::move(item));
    return Status::Ok();
  }

 private:
  const ShardHow how_;
  int64_t seen_ = 0;
};

// A number in [0, 1) from 53 random bits.
double Unit(uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1p-53; }

class SampleRun final : public StageRun {
 public:
  using Setting = SampleHow;
  static std::string NameOf(const SampleHow& how) {
    std::string text = std::to_string(how.share);
    text.erase(text.find_last_not_of('0') + 1);
    return "sample(" + text + ")";
  }
  static void Describe(const SampleHow&, Shape* shape) { shape->items = -1; }

  explicit SampleRun(const SampleHow& how) : how_(how), engine_(how.seed) {}

  Status Process(Item item, Context& context) override {
    if (Unit(engine_()) < how_.share) context.Emit(std::move(item));
    return Status::Ok();
  }

 private:
  const SampleHow how_;
  std::mt19937_64 engine_;
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
  static void Describe(const ShuffleHow&, Shape*) {}

  explicit ShuffleRun(const ShuffleHow& how) : how_(how), engine_(how.seed) {}

  Status Process(Item item, Context& context) override {
    if (!held_) held_.emplace(context.budget());
    SPANFLOW_TRY(held_->Add(NameOf(how_), item->cost()));
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
    held_->Remove(buffer_.back()->cost());
    context.Emit(std::move(buffer_.back()));
    buffer_.pop_back();
  }

  const ShuffleHow how_;
  std::mt19937_64 engine_;
  Items buffer_;
  std::optional<HeldBack> held_;
};

}  // namespace

std::shared_ptr<const Stage> TakeStage(int64_t count) {
  return std::make_shared<InOrder<TakeRun>>(count);
}

std::shared_ptr<const Stage> SkipStage(int64_t count) {
  return std::make_shared<InOrder<SkipRun>>(count);
}

std::shared_ptr<const Stage> ShardStage(const ShardHow& how) {
  return std::make_shared<InOrder<ShardRun>>(how);
}

std::shared_ptr<const Stage> SampleStage(const SampleHow& how) {
  return std::make_shared<InOrder<SampleRun>>(how);
}

std::shared_ptr<const Stage> ShuffleStage(const ShuffleHow& how) {
  return std::make_shared<InOrder<ShuffleRun>>(how);
}

}  // namespace spanflow::pipeline
