#include "bindings/pipeline_served.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "capi/object.h"
#include "pipeline/stages.h"
#include "pipeline/stats.h"

namespace spanflow::bindings {

using base::Result;
using base::Status;
using capi::Check;
using capi::Ref;
using pipeline::Context;
using pipeline::Item;

Ref Desk::ArgumentsOf(Errand& errand) const {
  const Ref object = SharedWith(side, errand.item);
  return ArgumentsFor(side.state, call, object.get(), errand.came_in.rows);
}

namespace {

// An item whose function failed, on its way to the stage that says whether that may be.
class Skipped final : public pipeline::Value {
 public:
  std::unique_ptr<PythonValue> exception;
  Item item;
};

constexpr int64_t kSmallItem = 64 << 10;   // bytes: kept with its error
constexpr Py_ssize_t kMostLetters = 1000;  // errors that are kept
constexpr int64_t kQuickCall = 20'000;     // ns
constexpr int64_t kPatience = 100'000;     // ns that quick ones may take in a row

void CloseHandler(PyObject* handler);  // it is no reason to fail when that fails

class ServedCall final : public pipeline::ServedRun {
 public:
  ServedCall(PythonSide side, const PythonCall& call, const Service& service)
      : desk_{std::move(side), call, service, nullptr} {}

  void Begin(std::shared_ptr<pipeline::Calls> calls) override { desk_.calls = std::move(calls); }
  int servers() const override { return desk_.service.servers; }
  bool tuned() const override { return desk_.service.tuned; }
  Status Pack(Item* item, Context& context) override;
  void Serve(Context& context) override;
  Status Process(Item reply, Context& context) override;

 private:
  const PythonSide& side() const { return desk_.side; }
  const Service& service() const { return desk_.service; }
  bool in_interpreter() const { return service().where == Where::kInterpreter; }
  void ServeHere(PyObject* handler, pipeline::Call* call) const;
  void ServeQuickOnes(PyObject* handler, std::optional<pipeline::Call>* call, int64_t* told) const;
  void ServeAsync(PyObject* handler, InHand* in_hand, pipeline::Call* call) const;
  Status PackParcel(Errand* errand, Context& context) const;
  Status Failed(Errand& errand, Context& context) const;
  Status Finished(Errand& errand, Context& context) const;
  Ref ResultOf(Errand& errand) const;

  Desk desk_;
};

// ---- on a thread of the run: there ----

Status ServedCall::Pack(Item* item, Context& context) {
  auto errand = std::make_unique<Errand>();
  errand->nbytes_of_item = (*item)->nbytes();
  errand->came_in.rows = RowsOfItem(*item);
  if (service().verb == Verb::kMap) errand->came_in.credit = std::move((*item)->credit);
  errand->item = std::move(*item);
  if (in_interpreter()) SPANFLOW_TRY(PackParcel(errand.get(), context));
  *item = std::move(errand);
  return Status::Ok();
}

Status ServedCall::PackParcel(Errand* errand, Context& context) const {
  if (const pipeline::Chunk* chunk = errand->item->AsChunk(); chunk != nullptr && desk_.single()) {
    SPANFLOW_ASSIGN(errand->parcel, ParcelOf(*chunk));
    return Status::Ok();
  }
  return RunAttached(side(), context, [&] {
    const Ref arguments = desk_.ArgumentsOf(*errand);
    PyObject* sent = desk_.single() ? PyTuple_GET_ITEM(arguments.get(), 0) : arguments.get();
    errand->parcel = ParcelOf(side().state, &side(), service().pack, sent);
    return Status::Ok();
  });
}

// ---- on a thread of the stage ----

void ServedCall::Serve(Context& context) {
  if (in_interpreter()) return ServeInInterpreter(desk_, context);
  InHand in_hand(desk_);
  std::unique_ptr<PythonValue> calls, handler;
  const auto broken = desk_.Try(context, [&] {
    Ref made = NewCalls(side().state, desk_.calls, &in_hand);
    calls = std::make_unique<PythonValue>(side().owned, std::move(made));
    Ref callable = Check(PyObject_CallOneArg(service().make, calls->get()));
    handler = std::make_unique<PythonValue>(side().owned, std::move(callable));
  });
  while (auto call = desk_.calls->Take()) {
    const int64_t begun = pipeline::Now();
    int64_t told = 0;
    context.TakeAttached();  // what was spent between calls
    auto exception = desk_.Try(context, [&] {
      if (broken != nullptr) {
        capi::Restore(Ref::Borrow(broken->get()));
        throw capi::PythonError{};
      }
      if (service().where == Where::kThread) {
        ServeQuickOnes(handler->get(), &call, &told);
      } else if (service().where == Where::kProcess) {
        ServeHere(handler->get(), &*call);
      } else {
        ServeAsync(handler->get(), &in_hand, &*call);
      }
    });
    if (call->item == nullptr) continue;  // answered already
    ErrandIn(*call).exception = std::move(exception);
    call->elapsed_ns = pipeline::Now() - begun;
    if (service().where == Where::kThread) {
      call->attached_ns = std::max<int64_t>(context.TakeAttached() - told, 0);
    }
    desk_.calls->Return(*std::move(call));
  }
  desk_.Try(context, [&] {
    if (calls != nullptr) EndCalls(calls->get());
    if (handler != nullptr) CloseHandler(handler->get());
    handler.reset();
    calls.reset();
  });
}

void CloseHandler(PyObject* handler) {
  const Ref close = capi::AttributeOrNull(handler, "close");
  const Ref closed = Ref::Steal(close ? PyObject_CallNoArgs(close.get()) : nullptr);
  if (PyErr_Occurred() != nullptr) PyErr_WriteUnraisable(handler);
}

void ServedCall::ServeHere(PyObject* handler, pipeline::Call* call) const {
  Errand& errand = ErrandIn(*call);
  const Ref arguments = desk_.ArgumentsOf(errand);
  Ref result = Check(PyObject_Call(handler, arguments.get(), nullptr));
  errand.is_same = result.get() == PyTuple_GET_ITEM(arguments.get(), 0);
  if (service().verb == Verb::kMap && !service().to_arrays) {  // which cannot fail
    errand.made = ItemOfResult(side(), std::move(result), errand.came_in.rows, false);
    errand.item = nullptr;  // here, where nobody has to attach for it
    return;
  }
  errand.result = std::make_unique<PythonValue>(side().owned, std::move(result));
}

// Goes on with further calls as long as they wait and are quick: to detach and attach again takes
// longer, and the threads that wait for the GIL would get it after every single one. What `call` is
// in the end is not answered yet, unless it is empty; `told` is how long the answered ones took.
void ServedCall::ServeQuickOnes(PyObject* handler, std::optional<pipeline::Call>* call,
                                int64_t* told) const {
  int64_t since = pipeline::Now();
  while (true) {
    ServeHere(handler, &**call);
    const int64_t now = pipeline::Now();
    if (now - since > kQuickCall || side().owned->Forked()) return;
    (*call)->elapsed_ns = (*call)->attached_ns = now - since;
    *told += now - since;
    desk_.calls->Return(std::move(**call));
    if (*told > kPatience) return;
    std::optional<pipeline::Call> next = desk_.calls->TryTake();
    if (!next.has_value()) return;
    *call = std::move(next);
    since = now;
  }
}

// The handler takes more calls by itself and is back when all of them are answered.
void ServedCall::ServeAsync(PyObject* handler, InHand* in_hand, pipeline::Call* call) const {
  const Ref first = in_hand->Accept(call);
  try {
    Check(PyObject_CallObject(handler, first.get()));
  } catch (const capi::PythonError&) {
    const Ref raised = TakeRaisedForItem();
    in_hand->FailAll(raised.get());
  }
}

// ---- on a thread of the run: back ----

Status ServedCall::Process(Item reply, Context& context) {
  auto& errand = static_cast<Errand&>(*reply);
  if (errand.parcel.has_value() && errand.parcel->is_error) {
    SPANFLOW_TRY(RunAttached(side(), context, [&] {
      errand.exception = std::make_unique<PythonValue>(
          side().owned, Unpack(side().state, service().unpack, *errand.parcel));
      return Status::Ok();
    }));
  }
  return errand.exception != nullptr ? Failed(errand, context) : Finished(errand, context);
}

Status ServedCall::Failed(Errand& errand, Context& context) const {
  bool urgent = false;
  SPANFLOW_TRY(RunAttached(side(), context, [&] {
    urgent = IsUrgent(errand.exception->get());
    return Status::Ok();
  }));
  if (urgent || !service().skips) return context.Throw(std::move(errand.exception), urgent);
  auto skipped = std::make_unique<Skipped>();
  skipped->exception = std::move(errand.exception);
  if (errand.nbytes_of_item <= kSmallItem) skipped->item = std::move(errand.item);
  desk_.calls->skipped.fetch_add(1);
  context.Emit(std::move(skipped));
  return Status::Ok();
}

Ref ServedCall::ResultOf(Errand& errand) const {
  if (errand.parcel.has_value()) return Unpack(side().state, service().unpack, *errand.parcel);
  return errand.result->Take();
}

Status ServedCall::Finished(Errand& errand, Context& context) const {
  if (errand.made != nullptr) {
    return EmitItem(std::move(errand.made), errand.is_same, std::move(errand.came_in), context);
  }
  std::optional<pipeline::Part> mask;
  std::unique_ptr<Item> rows;
  if (service().verb != Verb::kTap) {
    SPANFLOW_TRY(RunAttached(side(), context, [&] {
      Ref result = ResultOf(errand);
      if (service().verb == Verb::kMap) {
        errand.item = nullptr;
        return EmitResult(side(), std::move(result), errand.is_same, std::move(errand.came_in),
                          service().to_arrays, context);
      }
      if (service().verb == Verb::kFlatMap) {
        return EmitEach(side(), std::move(result), {service().to_arrays}, &rows, context);
      }
      const Ref object = SharedWith(side(), errand.item);
      mask = Judge(side(), object.get(), result.get(), &errand.item);
      return Status::Ok();
    }));
  }
  if (rows != nullptr) return pipeline::EmitRows(std::move(*rows), context);
  const bool passes = service().verb == Verb::kFilter || service().verb == Verb::kTap;
  return passes ? EmitJudged(std::move(errand.item), mask, context) : Status::Ok();
}

class ServedDescription final : public pipeline::Stage {
 public:
  ServedDescription(PythonSide side, PythonCall call, Service service)
      : side_(std::move(side)), call_(std::move(call)), service_(service) {}
  std::string Name() const override { return call_.name; }
  pipeline::Mode mode() const override {
    return service_.verb == Verb::kTap ? pipeline::Mode::kSerialInOrder : pipeline::Mode::kParallel;
  }
  int places() const override { return service_.places; }
  Result<std::unique_ptr<pipeline::StageRun>> Open(pipeline::Shape*) const override {
    return std::unique_ptr<pipeline::StageRun>(new ServedCall(side_, call_, service_));
  }

 private:
  const PythonSide side_;
  const PythonCall call_;
  const Service service_;
};

// ---- what was skipped ----

class SkipRun final : public pipeline::StageRun {
 public:
  SkipRun(PythonSide side, SkipLimits limits, PyObject* letters)
      : side_(std::move(side)), limits_(limits), letters_(letters) {}

  Status Process(Item item, Context& context) override {
    auto* skipped = dynamic_cast<Skipped*>(item.get());
    if (skipped == nullptr) {
      context.Emit(std::move(item));
      return Status::Ok();
    }
    ++count_;
    const std::string excess = Excess(context.item() + 1);
    return RunAttached(side_, context, [&] {
      if (excess.empty()) {
        Keep(context.item(), skipped);
        return Status::Ok();
      }
      capi::AddNote(skipped->exception->get(), excess.c_str());
      return context.Throw(std::move(skipped->exception));
    });
  }

 private:
  // What to say when that is one too many, of so many items of the source.
  std::string Excess(int64_t items) const {
    if (limits_.count >= 0 && count_ > limits_.count) {
      return std::to_string(count_) + " items failed, " + std::to_string(limits_.count) +
             " may be skipped (limit=)";
    }
    if (limits_.rate >= 0) {
      const double most = std::ceil(limits_.rate * static_cast<double>(items) - 1e-9);
      if (static_cast<double>(count_) > most) {
        return std::to_string(count_) + " of the first " + std::to_string(items) +
               " items failed, more than the share that may be skipped (limit=)";
      }
    }
    return {};
  }

  void Keep(int64_t index, Skipped* skipped) {
    if (PyList_GET_SIZE(letters_) >= kMostLetters) return;
    Ref object = skipped->item == nullptr ? capi::None()
                                          : ObjectFromItem(side_.state, std::move(skipped->item));
    const Ref exception = skipped->exception->Take();
    const Ref module = Check(PyImport_ImportModule("spanflow._workers"));
    const Ref letter =
        Check(PyObject_CallMethod(module.get(), "dead_letter", "LOO", static_cast<long long>(index),
                                  exception.get(), object.get()));
    capi::CheckStatus(PyList_Append(letters_, letter.get()));
  }

  const PythonSide side_;
  const SkipLimits limits_;
  PyObject* const letters_;
  int64_t count_ = 0;
};

class SkipDescription final : public pipeline::Stage {
 public:
  SkipDescription(PythonSide side, const std::string& name, SkipLimits limits, PyObject* letters)
      : side_(std::move(side)), name_("errors of " + name), limits_(limits), letters_(letters) {}
  std::string Name() const override { return name_; }
  pipeline::Mode mode() const override { return pipeline::Mode::kSerialInOrder; }
  bool grows() const override { return false; }
  Result<std::unique_ptr<pipeline::StageRun>> Open(pipeline::Shape*) const override {
    return std::unique_ptr<pipeline::StageRun>(new SkipRun(side_, limits_, letters_));
  }

 private:
  const PythonSide side_;
  const std::string name_;
  const SkipLimits limits_;
  PyObject* const letters_;
};

}  // namespace

Service ServiceFrom(PyObject* description, const std::string& verb, bool to_arrays,
                    SkipLimits* limits) {
  const char* where;
  int tuned;
  int skips;
  long long count;
  Service service{};
  service.to_arrays = to_arrays;
  if (!PyArg_ParseTuple(description, "siipOOOpLd", &where, &service.servers, &service.places,
                        &tuned, &service.make, &service.pack, &service.unpack, &skips, &count,
                        &limits->rate)) {
    throw capi::PythonError{};
  }
  limits->count = count;
  service.skips = skips != 0;
  service.tuned = tuned != 0;
  const std::string place(where);
  service.where = place == "interpreter" ? Where::kInterpreter
                  : place == "process"   ? Where::kProcess
                  : place == "async"     ? Where::kAsync
                                         : Where::kThread;
  service.verb = verb == "map"        ? Verb::kMap
                 : verb == "filter"   ? Verb::kFilter
                 : verb == "flat_map" ? Verb::kFlatMap
                                      : Verb::kTap;
  return service;
}

std::shared_ptr<const pipeline::Stage> ServedStage(PythonSide side, PythonCall call,
                                                   Service service) {
  return std::make_shared<ServedDescription>(std::move(side), std::move(call), service);
}

std::shared_ptr<const pipeline::Stage> SkipStage(PythonSide side, const std::string& name,
                                                 SkipLimits limits, PyObject* letters) {
  return std::make_shared<SkipDescription>(std::move(side), name, limits, letters);
}

}  // namespace spanflow::bindings
