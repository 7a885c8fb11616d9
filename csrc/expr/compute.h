// Computes expressions: as few passes over the data as they need, everything that several of them
// share only once.
//
// Owns: a Computation owns its graph, its programs and their registers; results are new arrays
// unless a place for them is given.
// Threads: thread-safe; one Computation serves any number of threads at a time, and spreads large
// work over the runtime. Attached: not needed.
// Fails: TypeError, ValueError, OverflowError (see graph.h); ValueError for outputs of another
// shape or that overlap each other, closed or read-only arrays; MemoryError before any work;
// OSError (missing pages).
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "array/run.h"
#include "array/view.h"
#include "base/status.h"
#include "expr/graph.h"
#include "expr/run.h"

namespace spanflow::expr {

// What is done to compute the roots of a graph, for columns and outputs of given layouts wherever
// they lie.
class Computation {
 public:
  ~Computation();

  // `outs` is empty or has one entry for each root: where its result goes, or null for a new array.
  // The dtype of a place may be any numeric one.
  static base::Result<std::shared_ptr<Computation>> Make(std::vector<NodeRef> roots,
                                                         std::span<const Column> columns,
                                                         std::span<const array::View* const> outs);

  // Whether it computes the same for these, with the SIMD target in use.
  bool Serves(std::span<const Column> columns, std::span<const array::View* const> outs) const;

  // One view for each root, in their order.
  base::Result<std::vector<array::View>> Run(std::span<const Column> columns,
                                             std::span<const array::View* const> outs,
                                             const array::RunOptions& options = {});

  // Its passes for people: steps, registers, blocks, bytes read and written.
  std::string Explain() const;

  const Graph& graph() const { return graph_; }
  int64_t largest_bytes() const { return largest_bytes_; }  // of any value: how much work it is

 private:
  struct Stage;  // stage.h
  class Builder;
  class Execution;

  Computation();

  // Whether an output shares bytes with what is read.
  bool Overlaps(std::span<const Column> columns, std::span<const array::View* const> outs) const;

  // Whether an output would change `source` before it has been read everywhere. One that is read
  // element by element at the same places is not in the way of a careful program.
  bool IsInTheWay(const array::View& source, std::span<const array::View* const> outs) const;
  // Such sources are read from copies.
  void SeparateSources(std::span<const Column> columns, std::span<const array::View* const> outs);

  std::vector<NodeRef> nodes_;  // keep the graph's nodes alive
  Graph graph_;
  std::vector<std::string> column_names_;
  std::vector<base::Layout> column_layouts_;
  std::vector<std::optional<base::Layout>> out_layouts_;  // by root; none: a new array
  std::vector<base::Layout> between_;                     // arrays that one stage hands to itself
  std::vector<std::unique_ptr<Stage>> stages_;
  bool careful_ = false;      // an output may be what is read
  std::vector<bool> copied_;  // sources that are; of a careful computation only
  std::string target_;
  int64_t largest_bytes_ = 0;
};

}  // namespace spanflow::expr
