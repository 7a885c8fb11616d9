#include "pipeline/expression.h"

#include <algorithm>
#include <deque>
#include <mutex>

#include "array/index.h"
#include "expr/compute.h"
#include "expr/text.h"
#include "pipeline/array_stages.h"

namespace spanflow::pipeline {
namespace {

using array::View;
using base::Kind;
using base::Result;
using base::Status;
using expr::Computation;

constexpr array::RunOptions kAlone{1};

// The columns of one chunk.
struct Bound {
  std::deque<View> fields;
  std::vector<expr::Column> columns;
};

Status BindNames(const Expressions& expressions, const Chunk& chunk, Bound* bound) {
  const std::vector<std::string>& names = *chunk.form.names;
  for (const std::string& name : expressions.columns) {
    const auto found = std::ranges::find(names, name);
    if (found == names.end()) {
      std::string all;
      for (const std::string& each : names) all += (all.empty() ? "" : ", ") + each;
      return Status::Value("there is no column '" + name + "'; the arrays are " + all);
    }
    bound->columns.push_back({name, &chunk[static_cast<int>(found - names.begin())].view});
  }
  return Status::Ok();
}

// The columns of a chunk; where each array is computed by itself, those of array `i`.
Status Bind(const Expressions& expressions, const Chunk& chunk, int i, Bound* bound) {
  if (expressions.each) {
    bound->columns.push_back({expressions.columns[0], &chunk[i].view});
    return Status::Ok();
  }
  const View& first = chunk[0].view;
  if (chunk.size() == 1 && first.dtype().kind() == Kind::kRecord) {
    for (const std::string& name : expressions.columns) {
      SPANFLOW_ASSIGN(View field, array::FieldView(first, name));
      bound->columns.push_back({name, &bound->fields.emplace_back(std::move(field))});
    }
    return Status::Ok();
  }
  if (chunk.form.names != nullptr) return BindNames(expressions, chunk, bound);
  const auto count = static_cast<int>(expressions.columns.size());
  if (count > chunk.size()) {
    std::string names;
    for (const std::string& name : expressions.columns) names += (names.empty() ? "" : ", ") + name;
    return Status::Value("the expression has the columns " + names + ", but the chunk has " +
                         std::to_string(chunk.size()) + " array" +
                         (chunk.size() == 1 ? " without fields" : "s"));
  }
  for (int k = 0; k < count; ++k) {
    bound->columns.push_back({expressions.columns[static_cast<size_t>(k)], &chunk[k].view});
  }
  return Status::Ok();
}

// The computations of one run: mostly one for all chunks and one for the last, which is shorter.
class Computations {
 public:
  explicit Computations(const Expressions& expressions) : expressions_(expressions) {}

  Result<std::shared_ptr<Computation>> For(std::span<const expr::Column> columns) {
    {
      const std::lock_guard lock(mutex_);
      for (const auto& known : known_) {
        if (known->Serves(columns, {})) return known;
      }
    }
    SPANFLOW_ASSIGN(std::shared_ptr<Computation> made,
                    Computation::Make(expressions_.roots, columns, {}));
    const std::lock_guard lock(mutex_);
    if (known_.size() == kMost) known_.pop_front();
    known_.push_back(made);
    return made;
  }

 private:
  static constexpr size_t kMost = 4;

  const Expressions& expressions_;
  std::mutex mutex_;
  std::deque<std::shared_ptr<Computation>> known_;
};

// Whether what is made of the chunk's arrays has as many dimensions as they do where it is
// computed, so that the first one always stands for rows.
bool KeepsDimensions(const expr::Graph& graph) {
  std::vector<bool> of_chunk;
  for (const expr::Value& value : graph.values) {
    const bool is_column =
        value.type == expr::NodeType::kArray && graph.sources[value.index].array == nullptr;
    of_chunk.push_back(is_column);
    for (const expr::ValueId id : value.operands) {
      if (id == expr::kNoValue || !of_chunk[static_cast<size_t>(id)]) continue;
      of_chunk.back() = true;
      const bool is_reduced = value.type == expr::NodeType::kReduce;
      if (!is_reduced && graph[id].shape.size() != value.shape.size()) return false;
    }
  }
  return true;
}

// Whether row i of every result belongs to row i of the chunk.
bool KeepsRows(const expr::Graph& graph, const Chunk& chunk) {
  if (!KeepsDimensions(graph)) return false;
  const auto mixes_rows = [&](expr::ValueId id) {
    const expr::Value& value = graph[id];
    return value.axes[0] && !value.shape.empty();
  };
  if (chunk.rows == Chunk::kNoRows || std::ranges::any_of(graph.reductions, mixes_rows)) {
    return false;
  }
  return std::ranges::all_of(graph.roots, [&](expr::ValueId id) {
    const expr::Value& root = graph[id];
    return root.domain == expr::kNoValue && !root.shape.empty() && root.shape[0] == chunk.rows;
  });
}

struct Computed {
  std::vector<View> views;
  bool keeps_rows;
};

class Opened : public StageRun {
 public:
  explicit Opened(const Expressions& expressions)
      : expressions_(expressions), computations_(expressions) {}

 protected:
  Result<Computed> Compute(const Chunk& chunk, int i = 0) {
    Bound bound;
    SPANFLOW_TRY(Bind(expressions_, chunk, i, &bound));
    SPANFLOW_ASSIGN(const std::shared_ptr<Computation> computation,
                    computations_.For(bound.columns));
    SPANFLOW_ASSIGN(std::vector<View> views, computation->Run(bound.columns, {}, kAlone));
    return Computed{std::move(views), KeepsRows(computation->graph(), chunk)};
  }

  const Expressions& expressions_;

 private:
  Computations computations_;
};

class MapRun final : public Opened {
 public:
  using Opened::Opened;

  Status Process(Item item, Context& context) override {
    SPANFLOW_ASSIGN(Chunk* const chunk, ChunkOf(item));
    SPANFLOW_ASSIGN(Computed computed, Compute(*chunk));
    if (!computed.keeps_rows) chunk->rows = Chunk::kNoRows;
    for (size_t i = 0; i < computed.views.size(); ++i) {
      SPANFLOW_ASSIGN(View view, context.Charged(std::move(computed.views[i])));
      Part part(std::move(view), nullptr, true);
      if (i == 0)
        chunk->Replace(std::move(part));
      else
        chunk->Append(std::move(part));
    }
    chunk->form.is_tuple = expressions_.is_tuple;
    context.Emit(std::move(item));
    return Status::Ok();
  }
};

class EachRun final : public Opened {
 public:
  using Opened::Opened;

  Status Process(Item item, Context& context) override {
    SPANFLOW_ASSIGN(Chunk* const chunk, ChunkOf(item));
    for (int i = 0; i < chunk->size(); ++i) {
      SPANFLOW_ASSIGN(Computed computed, Compute(*chunk, i));
      if (!computed.keeps_rows) chunk->rows = Chunk::kNoRows;
      SPANFLOW_ASSIGN(View view, context.Charged(std::move(computed.views[0])));
      (*chunk)[i] = Part(std::move(view), nullptr, true);
    }
    chunk->credit = {};
    context.Emit(std::move(item));
    return Status::Ok();
  }
};

class FilterRun final : public Opened {
 public:
  using Opened::Opened;

  Status Process(Item item, Context& context) override {
    SPANFLOW_ASSIGN(Chunk* const chunk, ChunkOf(item));
    SPANFLOW_ASSIGN(const Computed computed, Compute(*chunk));
    const View& mask = computed.views[0];
    if (mask.dtype().kind() != Kind::kBool) {
      return Status::Type("a filter needs true or false, but the expression gives " +
                          mask.dtype().ToString());
    }
    if (mask.ndim() != 0) {
      SPANFLOW_TRY(SelectRows(chunk, mask, context));
    } else if (mask.data[0] == std::byte{0}) {
      return Status::Ok();
    }
    context.Emit(std::move(item));
    return Status::Ok();
  }
};

template <class Run>
class ExpressionStage final : public Stage {
 public:
  ExpressionStage(const char* verb, Expressions expressions)
      : verb_(verb), expressions_(std::move(expressions)) {}
  std::string Name() const override {
    std::string text;
    for (const expr::NodeRef& root : expressions_.roots) {
      text += (text.empty() ? "" : ", ") + expr::ToString(*root);
    }
    return verb_ + ("(" + text) + ")";
  }
  Result<std::unique_ptr<StageRun>> Open(Shape*) const override {
    return std::unique_ptr<StageRun>(new Run(expressions_));
  }

 private:
  const std::string verb_;
  const Expressions expressions_;
};

}  // namespace

Result<Inferred> Infer(const Expressions& expressions, const Chunk& chunk) {
  Inferred inferred{{}, true};
  for (int i = 0; i < (expressions.each ? chunk.size() : 1); ++i) {
    Bound bound;
    SPANFLOW_TRY(Bind(expressions, chunk, i, &bound));
    SPANFLOW_ASSIGN(const expr::Graph graph, expr::Resolve(expressions.roots, bound.columns));
    inferred.keeps_rows &= KeepsRows(graph, chunk);
    for (const expr::ValueId id : graph.roots) {
      const expr::Value& root = graph[id];
      const bool filtered = root.domain != expr::kNoValue;
      inferred.arrays.push_back(
          {base::DType(root.kind), filtered ? base::Dims{kUnknownRows} : root.shape});
    }
  }
  return inferred;
}

std::shared_ptr<const Stage> MapStage(Expressions expressions, const char* verb) {
  if (expressions.each) {
    return std::make_shared<ExpressionStage<EachRun>>(verb, std::move(expressions));
  }
  return std::make_shared<ExpressionStage<MapRun>>(verb, std::move(expressions));
}

std::shared_ptr<const Stage> FilterStage(Expressions predicate) {
  return std::make_shared<ExpressionStage<FilterRun>>("filter", std::move(predicate));
}

}  // namespace spanflow::pipeline
