#include "pipeline/stage.h"

#include "array/create.h"

namespace spanflow::pipeline {

using base::Result;
using base::Status;

const char* NameOf(Mode mode) {
  switch (mode) {
    case Mode::kParallel:
      return "parallel";
    case Mode::kSerialInOrder:
      return "serial_in_order";
    case Mode::kSerialOutOfOrder:
      return "serial_out_of_order";
  }
  return "";
}

Result<array::View> Context::NewArray(const base::DType& dtype, const base::Dims& shape) {
  SPANFLOW_ASSIGN(const int64_t nbytes, base::CheckedBytes(shape, dtype.itemsize()));
  SPANFLOW_TRY(budget_->CheckItem(nbytes));
  base::Result<array::View> made = array::Empty(dtype, shape);
  if (made.ok()) Charge(nbytes, &*made);
  return made;
}

Result<array::View> Context::Charged(array::View view) {
  const int64_t nbytes = view.layout.nbytes();
  SPANFLOW_TRY(budget_->CheckItem(nbytes));
  Charge(nbytes, &view);
  return view;
}

void Context::Charge(int64_t nbytes, array::View* view) {
  view->block = WithCredit(std::move(view->block), Credit::Take(budget_, nbytes));
  bytes_made_.store(bytes_made_.load(std::memory_order_relaxed) + nbytes,
                    std::memory_order_relaxed);
}

Status Context::Throw(std::unique_ptr<Value> exception, bool urgent) {
  exception_ = std::move(exception);
  urgent_ = urgent;
  return Status(base::Code::kRuntime, "an exception was raised");
}

}  // namespace spanflow::pipeline
