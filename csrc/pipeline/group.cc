// batch, rebatch and unbatch. What decides where items are cut is serial and touches no bytes; what
// copies them is parallel.

#include <algorithm>
#include <optional>
#include <string>

#include "array/copy.h"
#include "pipeline/operation.h"
#include "pipeline/rows_source.h"
#include "pipeline/stages.h"

namespace spanflow::pipeline {
namespace {

using array::View;
using base::Dims;
using base::Result;
using base::Status;

constexpr array::RunOptions kAlone{1};

std::unique_ptr<Group> GroupOf(Items items) {
  auto group = std::make_unique<Group>();
  group->items = std::move(items);
  return group;
}

// ---- batch: so many items ----

std::string BatchName(int64_t count) { return "batch(" + std::to_string(count) + ")"; }

class GroupRun final : public StageRun {
 public:
  GroupRun(int64_t count, bool drop_last) : count_(count), drop_last_(drop_last) {}

  Status Process(Item item, Context& context) override {
    if (!held_) held_.emplace(context.budget());
    SPANFLOW_TRY(held_->Add(BatchName(count_), item->cost()));
    items_.push_back(std::move(item));
    if (static_cast<int64_t>(items_.size()) == count_) EmitGroup(context);
    return Status::Ok();
  }

  Status Finish(Context& context) override {
    if (!items_.empty() && !drop_last_) EmitGroup(context);
    return Status::Ok();
  }

 private:
  void EmitGroup(Context& context) {
    held_->RemoveAll();
    context.Emit(GroupOf(std::exchange(items_, {})));
  }

  const int64_t count_;
  const bool drop_last_;
  Items items_;
  std::optional<HeldBack> held_;
};

class Grouping final : public Stage {
 public:
  Grouping(int64_t count, bool drop_last) : count_(count), drop_last_(drop_last) {}
  std::string Name() const override { return BatchName(count_); }
  Mode mode() const override { return Mode::kSerialInOrder; }
  bool grows() const override { return false; }
  Result<std::unique_ptr<StageRun>> Open(Shape* shape) const override {
    if (shape->items >= 0) shape->items = (shape->items + (drop_last_ ? 0 : count_ - 1)) / count_;
    shape->rows = -1;
    return std::unique_ptr<StageRun>(new GroupRun(count_, drop_last_));
  }

 private:
  const int64_t count_;
  const bool drop_last_;
};

// ---- rebatch: so many rows ----

std::string RebatchName(const CutHow& how) {
  return how.rows != 0 ? "rebatch(" + std::to_string(how.rows) + ")"
                       : "rebatch(nbytes=" + std::to_string(how.nbytes) + ")";
}

// How many rows the arrays of a chunk have.
Result<int64_t> RowsOfChunk(const Chunk& chunk) {
  for (int i = 0; i < chunk.size(); ++i) {
    const Dims& shape = chunk[i].view.layout.shape;
    if (shape.empty()) return Status::Value("it cuts rows, but a 0-d array has none; see batch()");
    if (shape[0] != chunk[0].view.layout.shape[0]) {
      return Status::Value("the arrays of a chunk must have as many rows each, got " +
                           base::ToString(chunk[0].view.layout.shape) + " and " +
                           base::ToString(shape));
    }
  }
  return chunk[0].view.layout.shape[0];
}

// The same chunk with other views of its arrays, and a share of what the source's bytes are
// charged.
template <class ViewOfPart>
std::unique_ptr<Chunk> PartOfChunk(const Chunk& chunk, Context& context, const ViewOfPart& view) {
  auto made = std::make_unique<Chunk>();
  made->form = chunk.form;
  for (int i = 0; i < chunk.size(); ++i) {
    Part part(view(chunk[i].view), chunk[i].keep);
    if (i == 0)
      (*made)[0] = std::move(part);
    else
      made->Append(std::move(part));
  }
  if (chunk.credit.nbytes() != 0) {
    made->credit = Credit::Take(context.budget(), made->nbytes());
  }
  return made;
}

class CutRun final : public StageRun {
 public:
  explicit CutRun(const CutHow& how) : how_(how) {}

  Status Process(Item item, Context& context) override {
    SPANFLOW_ASSIGN(Chunk* const chunk, ChunkOf(item));
    SPANFLOW_ASSIGN(const int64_t rows, RowsOfChunk(*chunk));
    if (rows == 0) {
      if (empty_ == nullptr) empty_ = std::move(item);
      return Status::Ok();
    }
    if (wanted_ == 0) wanted_ = RowsWanted(*chunk, rows);
    if (!held_) held_.emplace(context.budget());
    for (int64_t first = 0; first < rows;) {
      const int64_t count = std::min(rows - first, wanted_ - rows_);
      if (count == rows)
        pieces_.push_back(std::move(item));
      else
        pieces_.push_back(Slice(*chunk, first, count, context));
      SPANFLOW_TRY(held_->Add(RebatchName(how_), pieces_.back()->cost()));
      rows_ += count;
      first += count;
      if (rows_ == wanted_) EmitGroup(context);
    }
    return Status::Ok();
  }

  Status Finish(Context& context) override {
    if (!pieces_.empty()) {
      if (!how_.drop_last) EmitGroup(context);
    } else if (!any_ && empty_ != nullptr) {
      // Whoever makes one result of all wants to know dtype and shape.
      Items one;
      one.push_back(std::move(empty_));
      context.Emit(GroupOf(std::move(one)));
    }
    return Status::Ok();
  }

 private:
  int64_t RowsWanted(const Chunk& chunk, int64_t rows) const {
    if (how_.rows != 0) return how_.rows;
    return std::max<int64_t>(how_.nbytes / std::max<int64_t>(chunk.nbytes() / rows, 1), 1);
  }

  static std::unique_ptr<Chunk> Slice(const Chunk& chunk, int64_t first, int64_t count,
                                      Context& context) {
    auto piece =
        PartOfChunk(chunk, context, [&](const View& view) { return RowsOf(view, first, count); });
    if (chunk.rows != Chunk::kNoRows) {
      piece->first_row = chunk.first_row + first;
      piece->rows = count;
    }
    return piece;
  }

  void EmitGroup(Context& context) {
    any_ = true;
    rows_ = 0;
    held_->RemoveAll();
    context.Emit(GroupOf(std::exchange(pieces_, {})));
  }

  const CutHow how_;
  int64_t wanted_ = 0;  // rows; not known before the first chunk
  Items pieces_;
  int64_t rows_ = 0;  // of the pieces
  std::optional<HeldBack> held_;
  Item empty_;  // the first chunk without rows
  bool any_ = false;
};

class Cutting final : public Stage {
 public:
  explicit Cutting(const CutHow& how) : how_(how) {}
  std::string Name() const override { return RebatchName(how_); }
  Mode mode() const override { return Mode::kSerialInOrder; }
  bool grows() const override { return false; }
  Result<std::unique_ptr<StageRun>> Open(Shape* shape) const override {
    shape->items = -1;
    return std::unique_ptr<StageRun>(new CutRun(how_));
  }

 private:
  const CutHow how_;
};

// ---- several chunks to one ----

std::string ArrayText(const View& view) {
  return view.dtype().ToString() + " " + base::ToString(view.layout.shape);
}

Status CheckFits(const View& first, const View& view, Join how) {
  Dims shape = view.layout.shape;
  if (how == Join::kConcat && !shape.empty() && first.ndim() != 0) {
    shape[0] = first.layout.shape[0];
  }
  if (shape == first.layout.shape && view.dtype().Native() == first.dtype().Native()) {
    return Status::Ok();
  }
  return Status::Value(std::string("arrays that become one must have one dtype and shape") +
                       (how == Join::kConcat ? ", but for their rows" : "") + ": got " +
                       ArrayText(first) + " and then " + ArrayText(view));
}

// The arrays number `part` of all chunks as one.
Result<View> JoinArrays(const std::vector<const Chunk*>& chunks, int part, Join how,
                        Context& context) {
  const View& first = (*chunks[0])[part].view;
  int64_t rows = 0;
  base::DType dtype = first.dtype();
  for (const Chunk* chunk : chunks) {
    const View& view = (*chunk)[part].view;
    SPANFLOW_TRY(CheckFits(first, view, how));
    if (view.dtype() != dtype) dtype = dtype.Native();
    rows += how == Join::kStack ? 1 : view.layout.shape[0];
  }
  Dims shape;
  shape.push_back(rows);
  for (int i = how == Join::kStack ? 0 : 1; i < first.ndim(); ++i) {
    if (shape.size() == base::kMaxDims) return Status::Value("an array has at most 64 dimensions");
    shape.push_back(first.layout.shape[i]);
  }
  SPANFLOW_ASSIGN(View joined, context.NewArray(dtype, shape));
  int64_t at = 0;
  for (const Chunk* chunk : chunks) {
    View piece = (*chunk)[part].view;
    if (how == Join::kStack) {  // a row of its own: a new axis of one element
      Dims row, strides;
      row.push_back(1);
      strides.push_back(0);
      for (int i = 0; i < piece.ndim(); ++i) {
        row.push_back(piece.layout.shape[i]);
        strides.push_back(piece.layout.strides[i]);
      }
      piece.layout.shape = row;
      piece.layout.strides = strides;
    }
    const int64_t count = piece.layout.shape[0];
    SPANFLOW_TRY(array::Copy(piece, RowsOf(joined, at, count), kAlone));
    at += count;
  }
  return joined;
}

// Whether the chunks stand for rows of the source that follow one another.
bool FollowOneAnother(const std::vector<const Chunk*>& chunks) {
  int64_t next = chunks[0]->first_row;
  for (const Chunk* chunk : chunks) {
    if (chunk->rows == Chunk::kNoRows || chunk->first_row != next) return false;
    next += chunk->rows;
  }
  return true;
}

class JoinRun final : public StageRun {
 public:
  explicit JoinRun(Join how) : how_(how) {}

  Status Process(Item item, Context& context) override {
    SPANFLOW_ASSIGN(Item joined,
                    JoinItems(std::move(static_cast<Group&>(*item).items), how_, context));
    context.Emit(std::move(joined));
    return Status::Ok();
  }

 private:
  const Join how_;
};

class Joining final : public Stage {
 public:
  Joining(Join how, std::string name) : how_(how), name_(std::move(name)) {}
  std::string Name() const override { return name_; }
  Result<std::unique_ptr<StageRun>> Open(Shape*) const override {
    return std::unique_ptr<StageRun>(new JoinRun(how_));
  }

 private:
  const Join how_;
  const std::string name_;
};

// ---- unbatch ----

View RowOf(const View& view, int64_t row) {
  View only = RowsOf(view, row, 1);
  only.layout.shape = Dims(std::span(view.layout.shape).subspan(1));
  only.layout.strides = Dims(std::span(view.layout.strides).subspan(1));
  return only;
}

Status EmitRowsFrom(int64_t row, int64_t rows, Item item, Context& context);

class RestOfRows final : public Rest {
 public:
  RestOfRows(int64_t row, int64_t rows, Item item)
      : row_(row), rows_(rows), item_(std::move(item)) {}
  Status Continue(Context& context) override {
    return EmitRowsFrom(row_, rows_, std::move(item_), context);
  }

 private:
  const int64_t row_, rows_;
  Item item_;
};

Status EmitRowsFrom(int64_t row, int64_t rows, Item item, Context& context) {
  const Chunk& chunk = *item->AsChunk();
  for (; row < rows && !context.Enough(); ++row) {
    context.Emit(PartOfChunk(chunk, context, [row](const View& view) { return RowOf(view, row); }));
  }
  if (row < rows) context.Later(std::make_unique<RestOfRows>(row, rows, std::move(item)));
  return Status::Ok();
}

class UnbatchRun final : public StageRun {
 public:
  Status Process(Item item, Context& context) override {
    return EmitRows(std::move(item), context);
  }
};

class Unbatching final : public Stage {
 public:
  std::string Name() const override { return "unbatch"; }
  bool grows() const override { return false; }
  Result<std::unique_ptr<StageRun>> Open(Shape* shape) const override {
    *shape = {shape->rows, -1};
    return std::unique_ptr<StageRun>(new UnbatchRun);
  }
};

}  // namespace

int64_t Group::nbytes() const {
  int64_t sum = 0;
  for (const Item& item : items) sum += item->nbytes();
  return sum;
}

std::shared_ptr<const Stage> GroupStage(int64_t count, bool drop_last) {
  return std::make_shared<Grouping>(count, drop_last);
}

std::shared_ptr<const Stage> CutStage(const CutHow& how) { return std::make_shared<Cutting>(how); }

Result<Item> JoinItems(Items items, Join how, Context& context) {
  std::vector<const Chunk*> chunks;
  for (const Item& item : items) {
    SPANFLOW_ASSIGN(const Chunk* const chunk, ChunkOf(item));
    chunks.push_back(chunk);
    if (chunk->size() == chunks[0]->size()) continue;
    return Status::Value("items that become one must have as many arrays each: got " +
                         std::to_string(chunks[0]->size()) + " and then " +
                         std::to_string(chunk->size()));
  }
  if (how == Join::kConcat && items.size() == 1) return std::move(items[0]);
  auto joined = std::make_unique<Chunk>();
  joined->form = chunks[0]->form;
  for (int i = 0; i < chunks[0]->size(); ++i) {
    SPANFLOW_ASSIGN(View view, JoinArrays(chunks, i, how, context));
    Part part(std::move(view), nullptr, true);
    if (i == 0)
      (*joined)[0] = std::move(part);
    else
      joined->Append(std::move(part));
  }
  if (how == Join::kConcat && FollowOneAnother(chunks)) {
    joined->first_row = chunks[0]->first_row;
    joined->rows = (*joined)[0].view.layout.shape[0];
  }
  return Item(std::move(joined));
}

std::shared_ptr<const Stage> JoinStage(Join how, std::string name) {
  return std::make_shared<Joining>(how, std::move(name));
}

Status EmitRows(Item item, Context& context) {
  SPANFLOW_ASSIGN(Chunk* const chunk, ChunkOf(item));
  SPANFLOW_ASSIGN(const int64_t rows, RowsOfChunk(*chunk));
  return EmitRowsFrom(0, rows, std::move(item), context);
}

std::shared_ptr<const Stage> UnbatchStage() { return std::make_shared<Unbatching>(); }

}  // namespace spanflow::pipeline
