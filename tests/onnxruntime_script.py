# SPDX-License-Identifier: Apache-2.0
"""The calls of ONNX Runtime's tutorials on one model: `python onnxruntime_script.py MODEL`; prints JSON.

tests/test_onnxruntime_api.py runs this file as it stands, and with nothing but the import changed to fewbins.
"""

import json
import sys

import numpy as np
import onnxruntime as ort


def main() -> None:
    path = sys.argv[1]
    said = {"device": ort.get_device(), "has_cpu": "CPUExecutionProvider" in ort.get_available_providers()}
    ort.set_default_logger_severity(3)

    # Get started: options, a session, what goes in and out.
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_mem_pattern = False
    options.enable_cpu_mem_arena = True
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    said["entry"] = options.get_session_config_entry("session.intra_op.allow_spinning")
    session = ort.InferenceSession(path, sess_options=options, providers=["CPUExecutionProvider"])
    said["cpu"] = "CPUExecutionProvider" in session.get_providers()
    said["inputs"] = [[value.name, value.type, value.shape] for value in session.get_inputs()]
    said["outputs"] = [[value.name, value.type, value.shape] for value in session.get_outputs()]
    said["threads"] = session.get_session_options().intra_op_num_threads
    meta = session.get_modelmeta()
    said["meta"] = [meta.graph_name, meta.domain, meta.description, isinstance(meta.version, int)]
    said["map"] = isinstance(meta.custom_metadata_map, dict) and isinstance(meta.producer_name, str)
    said["initializers"] = session.get_overridable_initializers()

    # Run: all outputs, one by name, with options of the run, with values in place of arrays.
    name, label = session.get_inputs()[0].name, session.get_outputs()[0].name
    x = np.random.default_rng(0).uniform(0, 1, (3, 1, 8, 8)).astype(np.float32)
    want = session.run(None, {name: x})[0]
    run_options = ort.RunOptions()
    run_options.log_severity_level = 3
    run_options.only_execute_path_to_fetches = True
    run_options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    same = [
        session.run([label], {name: x})[0],
        session.run([], {name: x})[0],
        session.run([label], {name: x}, run_options)[0],
        session.run([label], {name: x}, run_options=run_options)[0],
        session.run(output_names=[label], input_feed={name: x})[0],
        session.run([label], {name: ort.OrtValue.ortvalue_from_numpy(x)})[0],
        session.run_with_ort_values([label], {name: ort.OrtValue.ortvalue_from_numpy(x)})[0].numpy(),
    ]
    said["same"] = all(np.array_equal(want, other) for other in same)
    said["classes"] = np.argmax(want, axis=1).tolist()

    # Bind inputs and outputs.
    value = ort.OrtValue.ortvalue_from_numpy(x, "cpu", 0)
    said["value"] = [value.shape(), value.data_type(), value.device_name().lower(), value.is_tensor()]
    binding = session.io_binding()
    binding.bind_cpu_input(name, x)
    binding.bind_output(label)
    session.run_with_iobinding(binding)
    bound = binding.copy_outputs_to_cpu()[0]
    memory = ort.OrtValue.ortvalue_from_numpy(np.zeros_like(want), "cpu", 0)
    binding = session.io_binding()
    binding.bind_ortvalue_input(name, value)
    binding.bind_ortvalue_output(label, memory)
    session.run_with_iobinding(binding)
    said["bound"] = [np.array_equal(want, got) for got in (bound, memory.numpy(), binding.get_outputs()[0].numpy())]

    # The end of a profile that was not asked for.
    said["profile"] = isinstance(session.end_profiling(), str)

    # Mistakes, and what a script catches.
    mistakes = {
        "name": lambda: session.run(None, {"nothing": x}),
        "missing": lambda: session.run(None, {}),
        "option": lambda: setattr(options, "nothing", 1),
    }
    for mistake, call in mistakes.items():
        try:
            call()
            said[mistake] = "taken"
        except (ValueError, AttributeError) as error:
            said[mistake] = [kind.__name__ for kind in (ValueError, AttributeError) if isinstance(error, kind)]

    # Others open the session from bytes, with providers as pairs, and positional options.
    with open(path, "rb") as file:
        again = ort.InferenceSession(file.read(), options, [("CPUExecutionProvider", {})])
    said["bytes"] = bool(np.array_equal(again.run(None, {name: x})[0], want))
    print(json.dumps({"said": said, "want": want.tolist()}))


if __name__ == "__main__":
    main()
