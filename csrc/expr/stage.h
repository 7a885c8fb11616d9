// What a computation does in one pass.
//
// Owns: its program and the registers of those who run it. Threads: as Runner. Attached: not
// needed. Fails: never.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "expr/compute.h"
#include "expr/run.h"

namespace spanflow::expr {

struct Computation::Stage {
  // A reduction along some axes. It reads an array: a source, or one that this stage wrote.
  struct Along {
    ValueId id;
    bool is_source;
    size_t index;  // of the source, or in Computation::between_
  };
  std::unique_ptr<Runner> runner;  // null when there are reductions along axes of sources only
  std::vector<Along> along;
};

}  // namespace spanflow::expr
