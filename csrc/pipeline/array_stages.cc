#include "pipeline/array_stages.h"

#include <deque>

#include "array/select.h"

namespace spanflow::pipeline {
namespace {

using array::View;
using base::Kind;
using base::Result;
using base::Status;

constexpr array::RunOptions kAlone{1};

// Map and filter keep no state but what they borrow: the description does the work.
template <class Description>
class Opened final : public StageRun {
 public:
  static Result<std::unique_ptr<StageRun>> Make(const Description* description,
                                                const Operation& operation) {
    auto opened = std::make_unique<Opened>(description);
    for (const Operand& operand : operation.operands()) {
      const auto* part = std::get_if<Part>(&operand.value);
      if (part == nullptr) continue;
      opened->borrows_.emplace_back(part->view.block.get(), memory::Borrower::kPipeline);
      if (!opened->borrows_.back().ok()) {
        return Status::Value("an operand of " + description->Name() + " is a closed array");
      }
    }
    return std::unique_ptr<StageRun>(std::move(opened));
  }
  explicit Opened(const Description* description) : description_(description) {}

  Status Process(Item item, Context& context) override {
    return description_->Process(std::move(item), context);
  }

 private:
  const Description* description_;      // the run's pipeline keeps it
  std::deque<memory::Borrow> borrows_;  // the operands
};

class Map final : public Stage {
 public:
  explicit Map(Operation operation) : operation_(std::move(operation)) {}
  std::string Name() const override { return "map(" + operation_.Name() + ")"; }
  Result<std::unique_ptr<StageRun>> Open(Shape*) const override {
    return Opened<Map>::Make(this, operation_);
  }

  Status Process(Item item, Context& context) const {
    SPANFLOW_ASSIGN(Chunk* const chunk, ChunkOf(item));
    SPANFLOW_TRY(operation_.Map(chunk, context));
    context.Emit(std::move(item));
    return Status::Ok();
  }

 private:
  const Operation operation_;
};

// One number, of any kind, as a truth value.
bool IsTrue(const View& view) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(view.data);
  for (int64_t i = 0; i < view.dtype().itemsize(); ++i) {
    if (bytes[i] != 0) return true;
  }
  return false;
}

class Filter final : public Stage {
 public:
  explicit Filter(Operation predicate) : predicate_(std::move(predicate)) {}
  std::string Name() const override { return "filter(" + predicate_.Name() + ")"; }
  Result<std::unique_ptr<StageRun>> Open(Shape*) const override {
    return Opened<Filter>::Make(this, predicate_);
  }

  Status Process(Item item, Context& context) const {
    SPANFLOW_ASSIGN(Chunk* const chunk, ChunkOf(item));
    SPANFLOW_ASSIGN(const View mask, predicate_.Apply(*chunk, context));
    if (mask.dtype().kind() != Kind::kBool) {
      return Status::Type("a filter needs true or false, but " + predicate_.Name() + " gives " +
                          mask.dtype().ToString());
    }
    if (mask.ndim() == 0) {
      if (IsTrue(mask)) context.Emit(std::move(item));
      return Status::Ok();
    }
    SPANFLOW_TRY(SelectRows(chunk, mask, context));
    context.Emit(std::move(item));
    return Status::Ok();
  }

 private:
  const Operation predicate_;
};

}  // namespace

Status SelectRows(Chunk* chunk, const View& mask, Context& context) {
  for (int i = 0; i < chunk->size(); ++i) {
    SPANFLOW_ASSIGN(View selected, array::Compress((*chunk)[i].view, mask, kAlone));
    SPANFLOW_ASSIGN(selected, context.Charged(std::move(selected)));
    (*chunk)[i] = Part(std::move(selected), nullptr, true);
  }
  chunk->rows = Chunk::kNoRows;
  chunk->credit = {};
  return Status::Ok();
}

std::shared_ptr<const Stage> MapStage(Operation operation) {
  return std::make_shared<Map>(std::move(operation));
}

std::shared_ptr<const Stage> FilterStage(Operation predicate) {
  return std::make_shared<Filter>(std::move(predicate));
}

}  // namespace spanflow::pipeline
