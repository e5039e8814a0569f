"""The launchers in docs/scaling.md are what their own tools can read, with flags that exist."""

import re
import subprocess

import yaml

from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return found


def flags_of(text: str) -> set[str]:
    return set(re.findall(r"--(\w+)=", text.split("refinevad train")[1]))


def test_the_batch_script_of_slurm() -> None:
    script = block("bash")
    assert script.startswith("#!/bin/bash\n#SBATCH ")
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    assert flags_of(script) == {"config", "workdir", "coordinator"}


def test_the_job_set_of_kubernetes() -> None:
    job_set = yaml.safe_load(block("yaml"))
    assert (job_set["apiVersion"], job_set["kind"]) == ("jobset.x-k8s.io/v1alpha2", "JobSet")
    (replicated,) = job_set["spec"]["replicatedJobs"]
    job = replicated["template"]["spec"]
    assert job["completionMode"] == "Indexed" and job["parallelism"] == job["completions"] == 2
    (container,) = job["template"]["spec"]["containers"]
    (command,) = container["args"]
    assert "\n" not in command
    name, job_name = job_set["metadata"]["name"], replicated["name"]
    assert f"--coordinator={name}-{job_name}-0-0.{name}:1234 --num_processes=2 " in command
    assert flags_of(command) == {"config", "workdir", "coordinator", "num_processes", "process_id"}
