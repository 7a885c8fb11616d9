#include "expr/compute.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "array/copy.h"
#include "array/create.h"
#include "array/overlap.h"
#include "array/reduce.h"
#include "array/select.h"
#include "expr/program.h"
#include "expr/run.h"

namespace spanflow::expr {
namespace {

using array::View;
using base::DType;
using base::Kind;
using base::Result;
using base::Status;

class Computation {
 public:
  Computation(const Graph& graph, std::span<const View* const> outs,
              const array::RunOptions& options)
      : graph_(graph), options_(options), results_(graph.values.size()), outs_(outs) {}

  Result<std::vector<View>> Run() {
    SPANFLOW_TRY(MakePlaces());
    MarkNeeded();
    int last = 0;
    for (const Value& value : graph_.values) last = std::max(last, value.pass);
    for (int pass = 0; pass <= last; ++pass) {
      while (AddWork(pass)) SPANFLOW_TRY(RunPass());
    }
    return Finish();
  }

 private:
  static size_t Index(ValueId id) { return static_cast<size_t>(id); }

  const View* OutOf(size_t root) const { return outs_.empty() ? nullptr : outs_[root]; }

  // Memory for all results is there before any work begins.
  Status MakePlaces() {
    for (size_t i = 0; i < graph_.roots.size(); ++i) {
      const ValueId id = graph_.roots[i];
      const Value& value = graph_[id];
      if (const View* out = OutOf(i); out != nullptr) {
        SPANFLOW_TRY(CheckOut(value, *out, i));
        places_.push_back(*out);
      } else if (value.domain != kNoValue) {
        places_.emplace_back();  // its size is not known yet
      } else {
        SPANFLOW_ASSIGN(View place, array::Empty(DType(value.kind), value.shape));
        places_.push_back(std::move(place));
      }
    }
    return Status::Ok();
  }

  Status CheckOut(const Value& value, const View& out, size_t root) const {
    if (value.domain != kNoValue) {
      return Status::Value(
          "a filtered expression has no size before it is computed: out= is not "
          "possible");
    }
    if (out.readonly) return Status::Value("output array is read-only");
    if (!(out.layout.shape == value.shape)) {
      return Status::Value("out has shape " + base::ToString(out.layout.shape) +
                           ", the expression has shape " + base::ToString(value.shape));
    }
    for (size_t i = 0; i < root; ++i) {
      if (OutOf(i) != nullptr && array::MayShareMemory(*OutOf(i), out)) {
        return Status::Value("two outputs share memory");
      }
    }
    return Status::Ok();
  }

  // Which reductions some root depends on.
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
      const Value& value = graph_[graph_.roots[i]];
      if (written_[i] || value.type == NodeType::kReduce || value.pass != pass ||
          !InSpace(value.shape)) {
        continue;
      }
      written_[i] = true;
      if (value.domain == kNoValue)
        work_.targets.push_back({graph_.roots[i], places_[i]});
      else
        work_.filtered.push_back(graph_.roots[i]);
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
    const bool is_flat =
        operand.domain != kNoValue || value.axes == array::AllAxes(operand.shape.size());
    (is_flat ? work_.reductions : along_).push_back(id);
  }

  Status RunPass() {
    // Reductions along some axes read an array: their operand becomes one first.
    std::vector<std::pair<ValueId, View>> arrays;
    for (const ValueId id : along_) {
      const ValueId operand = graph_[id].operands[0];
      if (graph_[operand].type == NodeType::kArray) continue;
      const auto same = [operand](const auto& entry) { return entry.first == operand; };
      if (std::ranges::any_of(arrays, same)) continue;
      SPANFLOW_ASSIGN(View array, array::Empty(DType(graph_[operand].kind), graph_[operand].shape));
      work_.targets.push_back({operand, array});
      arrays.emplace_back(operand, std::move(array));
    }
    SPANFLOW_TRY(RunProgram());
    for (const ValueId id : along_) {
      const ValueId operand = graph_[id].operands[0];
      const View* array = graph_[operand].array;
      for (const auto& [value, view] : arrays) {
        if (value == operand) array = &view;
      }
      SPANFLOW_TRY(ReduceAlong(id, *array));
    }
    return Status::Ok();
  }

  Status RunProgram() {
    if (work_.targets.empty() && work_.reductions.empty() && work_.filtered.empty()) {
      return Status::Ok();
    }
    SPANFLOW_ASSIGN(const Program program, Build(graph_, results_, work_, options_));
    Folded folded;
    SPANFLOW_TRY(expr::Run(program, options_, &folded));
    for (const Fold& fold : program.folds) {
      for (const ValueId id : fold.values) SPANFLOW_TRY(FinishFold(fold, id, folded));
    }
    for (size_t i = 0; i < program.filtered.size(); ++i) {
      const FilteredOutput& output = program.filtered[i];
      SPANFLOW_TRY(Join(output, folded.counts[output.domain], folded.pieces[i]));
    }
    return Status::Ok();
  }

  // The pieces of a filtered value as one array.
  Status Join(const FilteredOutput& output, int64_t count,
              const std::vector<std::vector<std::byte>>& pieces) {
    const DType from(output.kind);
    SPANFLOW_ASSIGN(View whole, array::Empty(DType(graph_[output.value].kind), {count}));
    std::byte* to = whole.data;
    for (const std::vector<std::byte>& piece : pieces) {
      const int64_t items = static_cast<int64_t>(piece.size()) / from.itemsize();
      if (items == 0) continue;
      View part{{}, const_cast<std::byte*>(piece.data()), {from, {items}, {from.itemsize()}}, true};
      View target = whole;
      target.data = to;
      target.layout.shape[0] = items;
      SPANFLOW_TRY(array::Copy(part, target, options_));
      to += items * whole.dtype().itemsize();
    }
    for (size_t i = 0; i < graph_.roots.size(); ++i) {
      if (graph_.roots[i] == output.value) places_[i] = whole;
    }
    return Status::Ok();
  }

  Status FinishFold(const Fold& fold, ValueId id, const Folded& folded) {
    const Value& value = graph_[id];
    const Value& operand = graph_[value.operands[0]];
    const simd::Reduction reduction = value.node->reduction;
    SPANFLOW_ASSIGN(View result, array::Empty(DType(value.kind), value.shape));
    const simd::Accumulator& accumulator =
        folded.accumulators[fold.first + fold.kernels.PlaceOf(reduction)];
    SPANFLOW_TRY(array::FinishAccumulators({&reduction, 1}, operand.kind, {&accumulator, 1},
                                           folded.counts[fold.domain], value.node->ddof,
                                           {&result, 1}));
    results_[Index(id)] = std::move(result);
    return Status::Ok();
  }

  Status ReduceAlong(ValueId id, const View& array) {
    const Value& value = graph_[id];
    SPANFLOW_ASSIGN(View result, array::Empty(DType(value.kind), value.shape));
    SPANFLOW_TRY(array::Reduce(value.node->reduction, array, value.axes, value.node->ddof, result,
                               options_));
    results_[Index(id)] = std::move(result);
    return Status::Ok();
  }

  Result<std::vector<View>> Finish() {
    for (size_t i = 0; i < graph_.roots.size(); ++i) {
      const ValueId id = graph_.roots[i];
      if (graph_[id].type == NodeType::kReduce) {
        SPANFLOW_TRY(array::Copy(results_[Index(id)], places_[i]));
      }
    }
    return std::move(places_);
  }

  const Graph& graph_;
  const array::RunOptions& options_;
  Results results_;  // by value: what reductions gave
  std::span<const View* const> outs_;
  std::vector<View> places_;         // by root
  std::vector<bool> needed_, done_;  // by value
  std::vector<bool> written_;        // by root
  Pass work_;                        // what is computed together now
  bool has_space_ = false;           // something has decided over its shape
  std::vector<ValueId> along_;       // reductions along some axes
};

}  // namespace

Result<std::vector<View>> Compute(const Graph& graph, std::span<const View* const> outs,
                                  const array::RunOptions& options) {
  return Computation(graph, outs, options).Run();
}

int64_t InputBytes(const Graph& graph) {
  int64_t bytes = 0;
  for (const Value& value : graph.values) {
    if (value.array != nullptr) bytes += value.array->layout.nbytes();
  }
  return bytes;
}

}  // namespace spanflow::expr
