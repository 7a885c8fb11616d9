#include "expr/compute.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "array/copy.h"
#include "array/create.h"
#include "array/overlap.h"
#include "array/reduce.h"
#include "expr/program.h"
#include "expr/stage.h"
#include "runtime/pool.h"
#include "simd/kernels.h"

namespace spanflow::expr {
namespace {

using array::Overlap;
using array::Spanned;
using array::View;
using base::DType;
using base::Layout;
using base::Result;
using base::Status;
using Views = std::span<const View* const>;
using Columns = std::span<const Column>;

size_t Index(ValueId id) { return static_cast<size_t>(id); }

bool SameLayout(const Layout& a, const Layout& b) {
  return a.dtype == b.dtype && a.shape == b.shape && a.strides == b.strides;
}

Layout NewLayout(const Value& value) {
  const DType dtype(value.kind);
  return {dtype, value.shape, base::ContiguousStrides(value.shape, dtype.itemsize())};
}

// How what is read meets an output of the same or another shape.
Overlap OverlapOf(const View& input, const View& output) {
  base::Dims strides;
  if (!array::BroadcastStrides(input.layout, output.layout.shape, &strides)) {
    return array::MayShareMemory(input, output) ? Overlap::kPartial : Overlap::kNone;
  }
  return array::FindOverlap(
      Spanned(output.layout.shape), {input.data, Spanned(strides), input.dtype().itemsize()},
      {output.data, Spanned(output.layout.strides), output.dtype().itemsize()});
}

Status CheckOut(const Value& value, const View& out) {
  if (value.domain != kNoValue) {
    return Status::Value(
        "a filtered expression has no size before it is computed: out= is not possible");
  }
  if (out.readonly) return Status::Value("output array is read-only");
  if (out.layout.shape == value.shape) return Status::Ok();
  return Status::Value("out has shape " + base::ToString(out.layout.shape) +
                       ", the expression has shape " + base::ToString(value.shape));
}

// Two outputs that share bytes would have to be written one after the other.
Status CheckApart(Views outs) {
  for (size_t i = 0; i < outs.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (outs[i] != nullptr && outs[j] != nullptr && array::MayShareMemory(*outs[i], *outs[j])) {
        return Status::Value("two outputs share memory");
      }
    }
  }
  return Status::Ok();
}

}  // namespace

// Makes the stages: what can be computed together, in the order in which it can be computed.
class Computation::Builder {
 public:
  explicit Builder(Computation* computation)
      : computation_(computation), graph_(computation->graph_) {}

  void Run() {
    MarkNeeded();
    int last = 0;
    for (const Value& value : graph_.values) last = std::max(last, value.pass);
    for (int pass = 0; pass <= last; ++pass) {
      while (AddWork(pass)) AddStage();
    }
  }

 private:
  void MarkNeeded() {
    needed_.assign(graph_.values.size(), false);
    for (const ValueId root : graph_.roots) needed_[Index(root)] = true;
    for (size_t i = needed_.size(); i-- > 0;) {
      if (!needed_[i]) continue;
      for (const ValueId operand : graph_.values[i].operands) {
        if (operand != kNoValue) needed_[Index(operand)] = true;
      }
    }
    done_.assign(graph_.values.size(), false);
    written_.assign(graph_.roots.size(), false);
  }

  // Collects what can be computed together in this pass; false when nothing is left. The first
  // value found decides over which index space.
  bool AddWork(int pass) {
    work_ = {};
    along_.clear();
    has_space_ = false;
    for (size_t i = 0; i < graph_.values.size(); ++i) {
      const Value& value = graph_.values[i];
      if (needed_[i] && !done_[i] && value.type == NodeType::kReduce && value.pass == pass &&
          InSpace(graph_[value.operands[0]].shape)) {
        done_[i] = true;
        AddReduction(static_cast<ValueId>(i), value);
      }
    }
    for (size_t i = 0; i < graph_.roots.size(); ++i) {
      const ValueId id = graph_.roots[i];
      const Value& value = graph_[id];
      if (written_[i] || value.type == NodeType::kReduce || value.pass != pass ||
          !InSpace(value.shape)) {
        continue;
      }
      written_[i] = true;
      if (value.domain != kNoValue) {
        work_.filtered.push_back(id);
      } else {
        const std::optional<Layout>& out = computation_->out_layouts_[i];
        work_.targets.push_back({id, {true, i, out ? *out : NewLayout(value)}});
      }
    }
    return has_space_;
  }

  bool InSpace(const base::Dims& shape) {
    if (!has_space_) work_.shape = shape;
    has_space_ = true;
    return work_.shape == shape;
  }

  void AddReduction(ValueId id, const Value& value) {
    const Value& operand = graph_[value.operands[0]];
    // Places are counted in C order, which only filters keep.
    const bool is_flat =
        operand.domain != kNoValue || (value.axes == array::AllAxes(operand.shape.size()) &&
                                       !simd::IsPlace(value.node->reduction));
    if (is_flat) return work_.reductions.push_back(id);
    if (operand.type == NodeType::kArray) return along_.push_back({id, true, operand.index});
    along_.push_back({id, false, BetweenFor(value.operands[0])});
  }

  // The array into which the pass writes this value for a reduction along axes.
  size_t BetweenFor(ValueId id) {
    for (const Pass::Target& target : work_.targets) {
      if (target.value == id) return target.to.index;
    }
    const size_t index = computation_->between_.size();
    computation_->between_.push_back(NewLayout(graph_[id]));
    work_.targets.push_back({id, {false, index, computation_->between_.back()}});
    return index;
  }

  void AddStage() {
    auto stage = std::make_unique<Stage>();
    if (!work_.targets.empty() || !work_.reductions.empty() || !work_.filtered.empty()) {
      stage->runner = std::make_unique<Runner>(Build(graph_, work_, computation_->careful_));
    }
    stage->along = std::move(along_);
    computation_->stages_.push_back(std::move(stage));
  }

  Computation* const computation_;
  const Graph& graph_;
  std::vector<bool> needed_, done_;  // by value
  std::vector<bool> written_;        // by root
  Pass work_;                        // what is computed together now
  bool has_space_ = false;           // something has decided over its shape
  std::vector<Stage::Along> along_;
};

// One run of a computation.
class Computation::Execution {
 public:
  Execution(Computation& computation, Columns columns, const array::RunOptions& options)
      : computation_(computation),
        graph_(computation.graph_),
        options_(options),
        results_(graph_.reductions.size()) {
    sources_.reserve(graph_.sources.size());
    for (const Source& source : graph_.sources) sources_.push_back(source.Find(columns));
  }

  Result<std::vector<View>> Run(Views outs) {
    SPANFLOW_TRY(MakePlaces(outs));
    SPANFLOW_TRY(CopySources());
    array::RunScope scope;
    for (const View& source : sources_) SPANFLOW_TRY(scope.Add(source));
    for (const View& place : places_) SPANFLOW_TRY(scope.Add(place));
    for (const std::unique_ptr<Stage>& stage : computation_.stages_) SPANFLOW_TRY(RunStage(*stage));
    for (const size_t i : reduced_) {
      SPANFLOW_TRY(array::Copy(results_[graph_[graph_.roots[i]].index], places_[i]));
    }
    SPANFLOW_TRY(scope.Finish());
    return std::move(places_);
  }

 private:
  // Memory for all results is there before any work begins.
  Status MakePlaces(Views outs) {
    for (const ValueId id : graph_.reductions) {
      const Value& value = graph_[id];
      SPANFLOW_ASSIGN(results_[value.index], array::Empty(DType(value.kind), value.shape));
    }
    places_.reserve(graph_.roots.size());
    for (size_t i = 0; i < graph_.roots.size(); ++i) {
      const Value& value = graph_[graph_.roots[i]];
      const bool is_given = !outs.empty() && outs[i] != nullptr;
      const bool is_reduced = value.type == NodeType::kReduce;
      if (is_reduced && !is_given && IsFirst(i)) {
        places_.push_back(results_[value.index]);
        continue;
      }
      if (is_reduced) reduced_.push_back(i);
      if (is_given) {
        places_.push_back(*outs[i]);
      } else if (value.domain != kNoValue) {
        places_.emplace_back();  // its size is not known yet
      } else {
        SPANFLOW_ASSIGN(View place, array::Empty(DType(value.kind), value.shape));
        places_.push_back(std::move(place));
      }
    }
    for (const Layout& layout : computation_.between_) {
      SPANFLOW_ASSIGN(View view, array::Empty(layout.dtype, layout.shape));
      between_.push_back(std::move(view));
    }
    return Status::Ok();
  }

  // Whether no root before this one is the same value.
  bool IsFirst(size_t root) const {
    const auto end = graph_.roots.begin() + static_cast<ptrdiff_t>(root);
    return std::find(graph_.roots.begin(), end, graph_.roots[root]) == end;
  }

  Status CopySources() {
    for (size_t i = 0; i < computation_.copied_.size(); ++i) {
      if (!computation_.copied_[i]) continue;
      SPANFLOW_ASSIGN(sources_[i],
                      array::CopyToNew(sources_[i], sources_[i].dtype(), false, options_));
    }
    return Status::Ok();
  }

  Status RunStage(const Stage& stage) {
    if (stage.runner != nullptr) SPANFLOW_TRY(RunProgram(*stage.runner));
    for (const Stage::Along& along : stage.along) {
      const Value& value = graph_[along.id];
      const View& array = along.is_source ? sources_[along.index] : between_[along.index];
      SPANFLOW_TRY(array::Reduce(value.node->reduction, array, value.axes,
                                 {.ddof = value.node->ddof}, results_[value.index], options_));
    }
    return Status::Ok();
  }

  Status RunProgram(Runner& runner) {
    const Program& program = runner.program();
    std::vector<std::byte*> inputs, outputs;
    for (const Input& input : program.inputs) {
      const Value& value = graph_[input.value];
      const bool is_source = value.type == NodeType::kArray;
      inputs.push_back(is_source ? sources_[value.index].data : results_[value.index].data);
    }
    for (const Output& output : program.outputs) {
      outputs.push_back((output.to.is_root ? places_ : between_)[output.to.index].data);
    }
    const Folded folded = runner.Run({inputs, outputs}, options_);
    for (const Fold& fold : program.folds) {
      for (const ValueId id : fold.values) SPANFLOW_TRY(FinishFold(fold, id, folded));
    }
    for (size_t i = 0; i < program.filtered.size(); ++i) {
      const FilteredOutput& output = program.filtered[i];
      SPANFLOW_TRY(Join(output, folded.counts[output.domain], folded.pieces[i]));
    }
    return Status::Ok();
  }

  Status FinishFold(const Fold& fold, ValueId id, const Folded& folded) {
    const Value& value = graph_[id];
    const simd::Reduction reduction = value.node->reduction;
    const simd::Accumulator& accumulator =
        folded.accumulators[fold.first + fold.kernels.PlaceOf(reduction)];
    return array::FinishAccumulators({&reduction, 1}, graph_[value.operands[0]].kind,
                                     {&accumulator, 1}, folded.counts[fold.domain],
                                     value.node->ddof, {&results_[value.index], 1});
  }

  // The pieces of a filtered value as one array.
  Status Join(const FilteredOutput& output, int64_t count, std::span<const Piece> pieces) {
    const DType dtype(graph_[output.value].kind);
    SPANFLOW_ASSIGN(const View whole, array::Empty(dtype, {count}));
    const int64_t from_bytes = base::InfoOf(output.kind).itemsize;
    std::vector<std::byte*> places;  // where each piece goes
    std::byte* next = whole.data;
    for (const Piece& piece : pieces) {
      places.push_back(next);
      next += piece.nbytes / from_bytes * dtype.itemsize();
    }
    const simd::CastFn cast = simd::FindCast(output.kind, dtype.kind());
    const auto copy = [&](int64_t begin, int64_t end) {
      for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
        if (pieces[i].nbytes == 0) continue;
        cast(pieces[i].block->address(), places[i],
             static_cast<size_t>(pieces[i].nbytes / from_bytes));
      }
    };
    constexpr int64_t kPiecesAtOnce = 4;
    runtime::ParallelFor(static_cast<int64_t>(pieces.size()), kPiecesAtOnce, copy,
                         options_.threads);
    for (size_t i = 0; i < graph_.roots.size(); ++i) {
      if (graph_.roots[i] == output.value) places_[i] = whole;
    }
    return Status::Ok();
  }

  Computation& computation_;
  const Graph& graph_;
  const array::RunOptions& options_;
  std::vector<View> sources_;    // as the graph numbers them
  std::vector<View> results_;    // as the graph numbers reductions
  std::vector<View> places_;     // by root
  std::vector<size_t> reduced_;  // roots whose places are not their results
  std::vector<View> between_;    // as the computation numbers them
};

Computation::Computation() = default;
Computation::~Computation() = default;

Result<std::shared_ptr<Computation>> Computation::Make(std::vector<NodeRef> roots, Columns columns,
                                                       Views outs) {
  const std::shared_ptr<Computation> made(new Computation);
  made->nodes_ = std::move(roots);
  SPANFLOW_ASSIGN(made->graph_, Resolve(made->nodes_, columns));
  for (const Column& column : columns) {
    made->column_names_.push_back(column.name);
    made->column_layouts_.push_back(column.view->layout);
  }
  made->out_layouts_.resize(made->graph_.roots.size());
  for (size_t i = 0; i < outs.size(); ++i) {
    if (outs[i] == nullptr) continue;
    SPANFLOW_TRY(CheckOut(made->graph_[made->graph_.roots[i]], *outs[i]));
    made->out_layouts_[i] = outs[i]->layout;
  }
  made->careful_ = made->Overlaps(columns, outs);
  for (const Value& value : made->graph_.values) {  // broadcasting may make shapes of any size
    SPANFLOW_ASSIGN(const int64_t bytes,
                    base::CheckedBytes(value.shape, base::InfoOf(value.kind).itemsize));
    made->largest_bytes_ = std::max(made->largest_bytes_, bytes);
  }
  made->target_ = simd::TargetInUse();
  Builder(made.get()).Run();
  if (made->careful_) made->SeparateSources(columns, outs);
  return made;
}

bool Computation::IsInTheWay(const View& source, Views outs) const {
  return std::ranges::any_of(outs, [&](const View* out) {
    if (out == nullptr) return false;
    const Overlap overlap = OverlapOf(source, *out);
    return overlap == Overlap::kPartial || (overlap == Overlap::kSame && stages_.size() > 1);
  });
}

void Computation::SeparateSources(Columns columns, Views outs) {
  for (Source& source : graph_.sources) {
    copied_.push_back(IsInTheWay(source.Find(columns), outs));
    if (!copied_.back()) continue;
    Layout& layout = source.layout;
    layout.strides = base::ContiguousStrides(layout.shape, layout.dtype.itemsize());
  }
  stages_.clear();
  between_.clear();
  Builder(this).Run();  // for the layouts of the copies
}

bool Computation::Serves(Columns columns, Views outs) const {
  if (columns.size() != column_names_.size() || target_ != simd::TargetInUse()) return false;
  for (size_t i = 0; i < columns.size(); ++i) {
    if (columns[i].name != column_names_[i] ||
        !SameLayout(columns[i].view->layout, column_layouts_[i])) {
      return false;
    }
  }
  for (size_t i = 0; i < out_layouts_.size(); ++i) {
    const View* out = outs.empty() ? nullptr : outs[i];
    if ((out != nullptr) != out_layouts_[i].has_value()) return false;
    if (out != nullptr && (out->readonly || !SameLayout(out->layout, *out_layouts_[i]))) {
      return false;
    }
  }
  if (!careful_) return !Overlaps(columns, outs);
  for (size_t i = 0; i < graph_.sources.size(); ++i) {
    if (copied_[i] != IsInTheWay(graph_.sources[i].Find(columns), outs)) return false;
  }
  return true;
}

bool Computation::Overlaps(Columns columns, Views outs) const {
  for (const View* out : outs) {
    if (out == nullptr) continue;
    for (const Source& source : graph_.sources) {
      if (OverlapOf(source.Find(columns), *out) != Overlap::kNone) return true;
    }
  }
  return false;
}

Result<std::vector<View>> Computation::Run(Columns columns, Views outs,
                                           const array::RunOptions& options) {
  SPANFLOW_TRY(CheckApart(outs));
  return Execution(*this, columns, options).Run(outs);
}

}  // namespace spanflow::expr
