// Expressions over chunks, as map and filter do them: compiled once for each layout of chunks.
//
// Owns: the expressions. Threads: immutable descriptions. Attached: not needed.
// Fails: what expr/compute.h fails with; ValueError where a chunk does not have the columns.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "expr/node.h"
#include "pipeline/stage.h"

namespace spanflow::pipeline {

// Columns are the fields of a chunk of one record array, or a chunk's arrays in their order.
struct Expressions {
  std::vector<expr::NodeRef> roots;
  std::vector<std::string> columns;  // in the order of their first use
  bool is_tuple = false;             // the results are a tuple, even if it is one
};

// Each chunk becomes the results.
std::shared_ptr<const Stage> MapStage(Expressions expressions);
// The only root is the predicate.
std::shared_ptr<const Stage> FilterStage(Expressions predicate);

}  // namespace spanflow::pipeline
