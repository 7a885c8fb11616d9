// Expressions for people.
//
// Owns: nothing. Threads: thread-safe. Attached: not needed. Fails: never.
#pragma once

#include <string>
#include <vector>

#include "expr/node.h"

namespace spanflow::expr {

// "sum(clip((float32(1000,) - 0.5) * 3.46, -1, 1))"; what lies deep inside is shown as an ellipsis.
std::string ToString(const Node& node);

// The names of the columns, in the order in which they are met from left to right.
std::vector<std::string> ColumnsOf(const Node& root);

}  // namespace spanflow::expr
