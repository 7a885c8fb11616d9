// Stages that change which items there are: fewer, in another order, several as one, one as
// several.
//
// Owns: nothing; one run's state lives in what Open returns. Threads: immutable descriptions.
// Attached: not needed.
// Fails: TypeError for items that are no arrays where rows are meant; ValueError for arrays that do
// not fit together, and for held-back items that the run's memory does not hold.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "pipeline/stage.h"

namespace spanflow::pipeline {

// The first `count` items. What is behind them is dropped, errors as well.
std::shared_ptr<const Stage> TakeStage(int64_t count);
// All but the first `count` items.
std::shared_ptr<const Stage> SkipStage(int64_t count);

// Item `index` of every `count`.
struct ShardHow {
  int64_t index;
  int64_t count;
};
std::shared_ptr<const Stage> ShardStage(const ShardHow& how);
// Each item with the probability `share`, which depends on the seed and the items' order only.
struct SampleHow {
  double share;
  uint64_t seed;
};
std::shared_ptr<const Stage> SampleStage(const SampleHow& how);

// A buffer of items, of which a random one goes on whenever a new one comes. The order depends on
// the seed and the items' order only.
struct ShuffleHow {
  int64_t buffer;
  uint64_t seed;
};
std::shared_ptr<const Stage> ShuffleStage(const ShuffleHow& how);

// Items that are going to be one.
class Group final : public Value {
 public:
  int64_t nbytes() const override;
  Items items;
};

// Every `count` items as a Group; the last one has what is left, or is dropped.
std::shared_ptr<const Stage> GroupStage(int64_t count, bool drop_last);

// Chunks cut anew: Groups of pieces (views) that together have so many rows each, or as many as
// `nbytes` hold, at least one. One of the two is 0.
struct CutHow {
  int64_t rows = 0;
  int64_t nbytes = 0;
  bool drop_last = false;
};
std::shared_ptr<const Stage> CutStage(const CutHow& how);

// How chunks become one: side by side along a new first axis, or behind one another along the one
// that they have. A single one of those is left as it is.
enum class Join : uint8_t { kStack, kConcat };
base::Result<Item> JoinItems(Items items, Join how, Context& context);
// The same for Groups of chunks; `name` as in an error's note.
std::shared_ptr<const Stage> JoinStage(Join how, std::string name);

// The rows of a chunk as chunks of one dimension less: views.
base::Status EmitRows(Item item, Context& context);
std::shared_ptr<const Stage> UnbatchStage();

}  // namespace spanflow::pipeline
