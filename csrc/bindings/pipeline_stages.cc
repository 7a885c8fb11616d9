#include "bindings/pipeline_stages.h"

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>

#include "capi/object.h"
#include "pipeline/rows_source.h"
#include "pipeline/stages.h"

namespace spanflow::bindings {
namespace {

using base::Result;
using base::Status;
using capi::Check;
using capi::Ref;
using pipeline::Context;
using pipeline::Item;

class CallRun final : public pipeline::StageRun {
 public:
  CallRun(PythonSide side, const PythonCall& call, bool to_arrays)
      : side_(std::move(side)), call_(call), to_arrays_(to_arrays) {}

  Status Process(Item item, Context& context) override {
    return RunAttached(side_, context, [&] {
      CameIn came_in{RowsOfItem(item), std::move(item->credit)};
      Ref object = ObjectFromItem(side_.state, std::move(item));
      Ref result = CallWith(side_.state, call_, object.get(), came_in.rows);
      const bool is_same = result.get() == object.get();
      object = {};
      return EmitResult(side_, std::move(result), is_same, std::move(came_in), to_arrays_, context);
    });
  }

 private:
  const PythonSide side_;
  const PythonCall& call_;
  const bool to_arrays_;
};

class AsArrayRun final : public pipeline::StageRun {
 public:
  AsArrayRun(PythonSide side, const PythonCall&) : side_(std::move(side)) {}

  Status Process(Item item, Context& context) override {
    if (item->AsChunk() != nullptr) {
      context.Emit(std::move(item));
      return Status::Ok();
    }
    return RunAttached(side_, context, [&] {
      CameIn came_in{RowsOfItem(item), std::move(item->credit)};
      Ref object = ObjectFromItem(side_.state, std::move(item));
      const bool same_bytes = IsArrayLike(side_.state, object.get());
      return EmitResult(side_, std::move(object), same_bytes, std::move(came_in), true, context);
    });
  }

 private:
  const PythonSide side_;
};

class FilterRun final : public pipeline::StageRun {
 public:
  FilterRun(PythonSide side, const PythonCall& call) : side_(std::move(side)), call_(call) {}

  Status Process(Item item, Context& context) override {
    std::optional<pipeline::Part> mask;
    SPANFLOW_TRY(RunAttached(side_, context, [&] {
      const Ref object = SharedWith(side_, item);
      const Ref result = CallWith(side_.state, call_, object.get(), RowsOfItem(item));
      mask = Judge(side_, object.get(), result.get(), &item);
      return Status::Ok();
    }));
    return EmitJudged(std::move(item), mask, context);
  }

 private:
  const PythonSide side_;
  const PythonCall& call_;
};

class FlatMapRun final : public pipeline::StageRun {
 public:
  FlatMapRun(PythonSide side, const PythonCall& call, bool to_arrays)
      : side_(std::move(side)), call_(call), to_arrays_(to_arrays) {}

  Status Process(Item item, Context& context) override {
    if (call_.callable == nullptr && item->AsChunk() != nullptr) {
      return pipeline::EmitRows(std::move(item), context);
    }
    std::unique_ptr<Item> rows;
    SPANFLOW_TRY(RunAttached(side_, context, [&] {
      const Rows at = RowsOfItem(item);
      Ref object = ObjectFromItem(side_.state, std::move(item));
      if (call_.callable != nullptr) object = CallWith(side_.state, call_, object.get(), at);
      const bool tuples = call_.callable == nullptr;  // unbatch takes batches of tuples apart
      return EmitEach(side_, std::move(object), {to_arrays_, tuples}, &rows, context);
    }));
    return rows == nullptr ? Status::Ok() : pipeline::EmitRows(std::move(*rows), context);
  }

 private:
  const PythonSide side_;
  const PythonCall& call_;
  const bool to_arrays_;
};

class TransformRun final : public pipeline::StageRun {
 public:
  TransformRun(PythonSide side, const PythonCall& call, bool to_arrays)
      : side_(std::move(side)), call_(call), to_arrays_(to_arrays) {}

  Status Process(Item item, Context& context) override {
    return RunAttached(side_, context, [&] {
      const Ref object = ObjectFromItem(side_.state, std::move(item));
      return EmitAll(Check(PyObject_CallOneArg(call_.callable, object.get())), context);
    });
  }

  Status Finish(Context& context) override {
    return RunAttached(side_, context, [&] {
      const Ref finish = capi::AttributeOrNull(call_.callable, "finish");
      return finish ? EmitAll(Check(PyObject_CallNoArgs(finish.get())), context) : Status::Ok();
    });
  }

 private:
  Status EmitAll(const Ref& made, Context& context) const {
    if (made.get() == Py_None) return Status::Ok();
    return EmitFrom(side_, Check(PyObject_GetIter(made.get())), to_arrays_, context);
  }

  const PythonSide side_;
  const PythonCall& call_;
  const bool to_arrays_;
};

class TapRun final : public pipeline::StageRun {
 public:
  TapRun(PythonSide side, const PythonCall& call) : side_(std::move(side)), call_(call) {}

  Status Process(Item item, Context& context) override {
    SPANFLOW_TRY(RunAttached(side_, context, [&] {
      const Ref object = SharedWith(side_, item);
      CallWith(side_.state, call_, object.get(), RowsOfItem(item));
      return Status::Ok();
    }));
    context.Emit(std::move(item));
    return Status::Ok();
  }

 private:
  const PythonSide side_;
  const PythonCall& call_;
};

class EnumerateRun final : public pipeline::StageRun {
 public:
  EnumerateRun(PythonSide side, const PythonCall&, int64_t start, bool to_arrays)
      : side_(std::move(side)), next_(start), to_arrays_(to_arrays) {}

  Status Process(Item item, Context& context) override {
    return RunAttached(side_, context, [&] {
      pipeline::Credit credit = std::move(item->credit);  // the pair has what the item has
      const int64_t nbytes = item->nbytes();
      const Ref number = Check(PyLong_FromLongLong(next_++));
      const Ref object = ObjectFromItem(side_.state, std::move(item));
      Item made =
          ItemFromObject(side_, Check(PyTuple_Pack(2, number.get(), object.get())), to_arrays_);
      if (made->AsChunk() == nullptr) static_cast<PythonValue&>(*made).set_nbytes(nbytes);
      made->credit = std::move(credit);
      context.Emit(std::move(made));
      return Status::Ok();
    });
  }

 private:
  const PythonSide side_;
  int64_t next_;
  const bool to_arrays_;
};

class CollateRun final : public pipeline::StageRun {
 public:
  CollateRun(PythonSide side, const PythonCall& call, bool to_arrays)
      : side_(std::move(side)), call_(call), to_arrays_(to_arrays) {}

  Status Process(Item item, Context& context) override {
    pipeline::Items items = std::move(static_cast<pipeline::Group&>(*item).items);
    const bool all_chunks =
        std::ranges::all_of(items, [](const Item& i) { return i->AsChunk() != nullptr; });
    if (all_chunks) {
      SPANFLOW_ASSIGN(Item joined,
                      pipeline::JoinItems(std::move(items), pipeline::Join::kStack, context));
      context.Emit(std::move(joined));
      return Status::Ok();
    }
    return RunAttached(side_, context, [&] {
      const Ref list = Check(PyList_New(0));
      for (Item& one : items) {
        const Ref object = ObjectFromItem(side_.state, std::move(one));
        capi::CheckStatus(PyList_Append(list.get(), object.get()));
      }
      return EmitMade(side_, Check(PyObject_CallOneArg(call_.callable, list.get())), to_arrays_,
                      context);
    });
  }

 private:
  const PythonSide side_;
  const PythonCall& call_;
  const bool to_arrays_;
};

// A stage whose run is made of what a call needs and what the description says.
template <class Run, class... More>
class CallDescription final : public pipeline::Stage {
 public:
  CallDescription(pipeline::Mode mode, PythonSide side, PythonCall call, More... more)
      : mode_(mode), side_(std::move(side)), call_(std::move(call)), more_(more...) {}
  std::string Name() const override { return call_.name; }
  pipeline::Mode mode() const override { return mode_; }
  Result<std::unique_ptr<pipeline::StageRun>> Open(pipeline::Shape*) const override {
    return std::apply(
        [this](More... more) {
          return std::unique_ptr<pipeline::StageRun>(new Run(side_, call_, more...));
        },
        more_);
  }

 private:
  const pipeline::Mode mode_;
  const PythonSide side_;
  const PythonCall call_;
  const std::tuple<More...> more_;
};

template <class Run, class... More>
std::shared_ptr<const pipeline::Stage> Describe(pipeline::Mode mode, PythonSide side,
                                                PythonCall call, More... more) {
  return std::make_shared<CallDescription<Run, More...>>(mode, std::move(side), std::move(call),
                                                         more...);
}

}  // namespace

std::shared_ptr<const pipeline::Stage> AsArrayStage(PythonSide side) {
  return Describe<AsArrayRun>(pipeline::Mode::kParallel, std::move(side),
                              {"asarray", nullptr, nullptr, nullptr});
}

std::shared_ptr<const pipeline::Stage> CallStage(PythonSide side, PythonCall call, bool to_arrays) {
  return Describe<CallRun>(pipeline::Mode::kParallel, std::move(side), std::move(call), to_arrays);
}

std::shared_ptr<const pipeline::Stage> CallFilter(PythonSide side, PythonCall call) {
  return Describe<FilterRun>(pipeline::Mode::kParallel, std::move(side), std::move(call));
}

std::shared_ptr<const pipeline::Stage> CallFlatMap(PythonSide side, PythonCall call,
                                                   bool to_arrays) {
  return Describe<FlatMapRun>(pipeline::Mode::kParallel, std::move(side), std::move(call),
                              to_arrays);
}

std::shared_ptr<const pipeline::Stage> CallTransform(PythonSide side, PythonCall call,
                                                     bool to_arrays) {
  return Describe<TransformRun>(pipeline::Mode::kSerialInOrder, std::move(side), std::move(call),
                                to_arrays);
}

std::shared_ptr<const pipeline::Stage> CallTap(PythonSide side, PythonCall call) {
  return Describe<TapRun>(pipeline::Mode::kSerialInOrder, std::move(side), std::move(call));
}

std::shared_ptr<const pipeline::Stage> EnumerateStage(PythonSide side, int64_t start,
                                                      bool to_arrays) {
  return Describe<EnumerateRun>(pipeline::Mode::kSerialInOrder, std::move(side),
                                {"enumerate", nullptr, nullptr, nullptr}, start, to_arrays);
}

std::shared_ptr<const pipeline::Stage> CollateStage(PythonSide side, std::string name,
                                                    PyObject* collate, bool to_arrays) {
  return Describe<CollateRun>(pipeline::Mode::kParallel, std::move(side),
                              {std::move(name), collate, nullptr, nullptr}, to_arrays);
}

}  // namespace spanflow::bindings
