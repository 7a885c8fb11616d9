// reduce and collect: many chunks to one.

#include <algorithm>
#include <optional>

#include "array/copy.h"
#include "array/create.h"
#include "array/promote.h"
#include "array/reduce.h"
#include "pipeline/array_stages.h"
#include "pipeline/rows_source.h"

namespace spanflow::pipeline {
namespace {

using array::View;
using base::Dims;
using base::DType;
using base::Kind;
using base::Result;
using base::Status;
using simd::Accumulator;
using simd::Reduction;

constexpr array::RunOptions kAlone{1};
using Reductions = std::vector<Reduction>;

// What one chunk contributes.
class Partial final : public Value {
 public:
  std::vector<Accumulator> accumulators;
  Kind kind = Kind::kF64;
  int64_t count = 0;
};

std::string NamesOf(const Reductions& reductions) {
  std::string names;
  for (Reduction reduction : reductions) {
    names += (names.empty() ? "" : ", ") + std::string(simd::InfoOf(reduction).name);
  }
  return names;
}

class AccumulateRun final : public StageRun {
 public:
  explicit AccumulateRun(const Reductions& reductions) : reductions_(reductions) {}

  Status Process(Item item, Context& context) override {
    SPANFLOW_ASSIGN(Chunk* const chunk, ChunkOf(item));
    if (chunk->size() != 1) {
      return Status::Type("reduce takes one array; the chunk has " + std::to_string(chunk->size()));
    }
    const View& view = (*chunk)[0].view;
    auto partial = std::make_unique<Partial>();
    partial->kind = view.dtype().kind();
    partial->count = view.size();
    partial->accumulators.resize(reductions_.size());
    SPANFLOW_TRY(array::InitAccumulators(reductions_, partial->kind, partial->accumulators));
    SPANFLOW_TRY(array::Accumulate(reductions_, view, partial->accumulators, kAlone));
    context.Emit(std::move(partial));
    return Status::Ok();
  }

 private:
  const Reductions& reductions_;
};

class AccumulateStage final : public Stage {
 public:
  explicit AccumulateStage(Reductions reductions) : reductions_(std::move(reductions)) {}
  std::string Name() const override { return "reduce(" + NamesOf(reductions_) + ")"; }
  bool grows() const override { return false; }
  Result<std::unique_ptr<StageRun>> Open(Shape*) const override {
    return std::unique_ptr<StageRun>(new AccumulateRun(reductions_));
  }

 private:
  const Reductions reductions_;
};

class MergeRun final : public StageRun {
 public:
  MergeRun(const Reductions& reductions, double ddof) : reductions_(reductions), ddof_(ddof) {}

  Status Process(Item item, Context&) override {
    auto& partial = static_cast<Partial&>(*item);
    if (!any_) {
      any_ = true;
      total_.kind = partial.kind;
      total_.accumulators = std::move(partial.accumulators);
    } else if (partial.kind != total_.kind) {
      return Status::Type(std::string("reduce needs chunks of one dtype, got ") +
                          base::InfoOf(total_.kind).name + " and then " +
                          base::InfoOf(partial.kind).name);
    } else {
      SPANFLOW_TRY(array::MergeAccumulators(reductions_, total_.kind, total_.accumulators,
                                            partial.accumulators));
    }
    total_.count += partial.count;
    return Status::Ok();
  }

  Status Finish(Context& context) override {
    if (!any_) {
      total_.accumulators.resize(reductions_.size());
      SPANFLOW_TRY(array::InitAccumulators(reductions_, total_.kind, total_.accumulators));
    }
    std::vector<View> outs;
    for (Reduction reduction : reductions_) {
      SPANFLOW_ASSIGN(const Kind kind, array::ResolveReduction(reduction, total_.kind));
      SPANFLOW_ASSIGN(View out, array::Empty(DType(kind), Dims{}));
      outs.push_back(std::move(out));
    }
    SPANFLOW_TRY(array::FinishAccumulators(reductions_, total_.kind, total_.accumulators,
                                           total_.count, ddof_, outs));
    auto chunk = std::make_unique<Chunk>();
    (*chunk)[0] = Part(outs[0]);
    for (size_t i = 1; i < outs.size(); ++i) chunk->Append(Part(outs[i]));
    context.Emit(std::move(chunk));
    return Status::Ok();
  }

 private:
  const Reductions& reductions_;
  const double ddof_;
  bool any_ = false;
  Partial total_;
};

class MergeStage final : public Stage {
 public:
  MergeStage(Reductions reductions, double ddof)
      : reductions_(std::move(reductions)), ddof_(ddof) {}
  std::string Name() const override { return "merge(" + NamesOf(reductions_) + ")"; }
  Mode mode() const override { return Mode::kSerialInOrder; }
  bool grows() const override { return false; }
  Result<std::unique_ptr<StageRun>> Open(Shape*) const override {
    return std::unique_ptr<StageRun>(new MergeRun(reductions_, ddof_));
  }

 private:
  const Reductions reductions_;
  const double ddof_;
};

// One array that grows by rows.
class Gathered {
 public:
  // `hint`: rows that there will be at most, -1 if not known.
  Status Append(const View& view, int64_t hint) {
    View piece = view;
    if (view.ndim() == 0) {  // an element of a new axis
      piece.layout.shape = Dims{1};
      piece.layout.strides = Dims{view.dtype().itemsize()};
    }
    if (!array_.has_value()) SPANFLOW_TRY(Begin(piece, hint));
    SPANFLOW_TRY(CheckPiece(piece));
    const int64_t rows = piece.layout.shape[0];
    if (rows_ + rows > array_->layout.shape[0]) SPANFLOW_TRY(Grow(rows_ + rows));
    SPANFLOW_TRY(array::Copy(piece, RowsOf(*array_, rows_, rows), kAlone));
    rows_ += rows;
    return Status::Ok();
  }

  bool empty() const { return !array_.has_value(); }
  View Take() { return RowsOf(*array_, 0, rows_); }

 private:
  Status Begin(const View& piece, int64_t hint) {
    return Resize(piece, std::max(hint, piece.layout.shape[0]));
  }

  Status Resize(const View& like, int64_t rows) {
    Dims shape = like.layout.shape;
    shape[0] = rows;
    SPANFLOW_ASSIGN(View larger, array::Empty(like.dtype().Native(), shape));
    array_ = std::move(larger);
    return Status::Ok();
  }

  Status Grow(int64_t rows) {
    const View before = *array_;
    SPANFLOW_TRY(Resize(before, std::max(rows, 2 * before.layout.shape[0])));
    return array::Copy(RowsOf(before, 0, rows_), RowsOf(*array_, 0, rows_), kAlone);
  }

  Status CheckPiece(const View& piece) const {
    Dims expected = array_->layout.shape;
    expected[0] = piece.ndim() == 0 ? 0 : piece.layout.shape[0];
    if (piece.layout.shape == expected && piece.dtype().Native() == array_->dtype()) {
      return Status::Ok();
    }
    return Status::Value("collect needs chunks that differ in their first axis only: got " +
                         array_->dtype().ToString() + " " + base::ToString(array_->layout.shape) +
                         " and then " + piece.dtype().ToString() + " " +
                         base::ToString(piece.layout.shape));
  }

  std::optional<View> array_;
  int64_t rows_ = 0;
};

class CollectRun final : public StageRun {
 public:
  explicit CollectRun(int64_t rows) : source_rows_(rows) {}

  Status Process(Item item, Context&) override {
    SPANFLOW_ASSIGN(Chunk* const chunk, ChunkOf(item));
    if (parts_.empty()) {
      parts_.resize(static_cast<size_t>(chunk->size()));
      form_ = chunk->form;
    }
    if (parts_.size() != static_cast<size_t>(chunk->size())) {
      return Status::Value("collect needs the same number of arrays in each chunk, got " +
                           std::to_string(parts_.size()) + " and then " +
                           std::to_string(chunk->size()));
    }
    for (int i = 0; i < chunk->size(); ++i) {
      const int64_t hint = chunk->rows == Chunk::kNoRows ? -1 : source_rows_;
      SPANFLOW_TRY(parts_[static_cast<size_t>(i)].Append((*chunk)[i].view, hint));
    }
    return Status::Ok();
  }

  Status Finish(Context& context) override {
    if (parts_.empty()) return Status::Ok();  // no chunk came: nothing to emit
    auto chunk = std::make_unique<Chunk>();
    chunk->form = form_;
    for (size_t i = 0; i < parts_.size(); ++i) {
      if (i == 0)
        (*chunk)[0] = Part(parts_[i].Take());
      else
        chunk->Append(Part(parts_[i].Take()));
    }
    context.Emit(std::move(chunk));
    return Status::Ok();
  }

 private:
  const int64_t source_rows_;
  std::vector<Gathered> parts_;
  Form form_;
};

class Collect final : public Stage {
 public:
  std::string Name() const override { return "collect"; }
  Mode mode() const override { return Mode::kSerialInOrder; }
  bool grows() const override { return false; }
  Result<std::unique_ptr<StageRun>> Open(Shape* shape) const override {
    return std::unique_ptr<StageRun>(new CollectRun(shape->rows));
  }
};

}  // namespace

std::vector<std::shared_ptr<const Stage>> ReduceStages(Reductions reductions, double ddof) {
  return {std::make_shared<AccumulateStage>(reductions),
          std::make_shared<MergeStage>(std::move(reductions), ddof)};
}

std::shared_ptr<const Stage> CollectStage() { return std::make_shared<Collect>(); }

}  // namespace spanflow::pipeline
