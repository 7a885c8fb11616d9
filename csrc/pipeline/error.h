// Error: why a run ended early - a Status, or an exception object of whoever supplied the stage -
// with the stage and the item where it happened.
//
// Owns: its texts and the exception. Threads: thread-compatible. Attached: not needed.
// Fails: never.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/status.h"
#include "pipeline/item.h"

namespace spanflow::pipeline {

struct Error {
  base::Status status;
  std::unique_ptr<Value> exception;  // when the stage threw one: what the consumer raises
  std::string stage;
  int64_t item = -1;        // index at the source; -1: none in particular
  std::string waiting_for;  // when the time ran out
};

}  // namespace spanflow::pipeline
