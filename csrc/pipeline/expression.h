// Expressions over chunks, as map and filter do them: compiled once for each layout of chunks.
//
// Owns: the expressions. Threads: immutable descriptions. Attached: not needed.
// Fails: what expr/compute.h fails with; ValueError where a chunk does not have the columns.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "expr/node.h"
#include "pipeline/operation.h"

namespace spanflow::pipeline {

// Columns are the fields of a chunk of one record array, or a chunk's arrays in their order.
struct Expressions {
  std::vector<expr::NodeRef> roots;
  std::vector<std::string> columns;  // in the order of their first use
  bool is_tuple = false;             // the results are a tuple, even if it is one
  bool each = false;                 // one root of one column, computed for every array of a chunk
};

// What they give for a chunk of such arrays, whose bytes are not read. What is filtered has
// kUnknownRows.
inline constexpr int64_t kUnknownRows = -1;
struct Inferred {
  std::vector<Outline> arrays;
  bool keeps_rows = false;
};
base::Result<Inferred> Infer(const Expressions& expressions, const Chunk& chunk);

// Each chunk becomes the results; with `each` every array of it becomes its own. `verb` as in the
// stage's name.
std::shared_ptr<const Stage> MapStage(Expressions expressions, const char* verb = "map");
// The only root is the predicate.
std::shared_ptr<const Stage> FilterStage(Expressions predicate);

}  // namespace spanflow::pipeline
