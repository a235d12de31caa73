"""Does a speech LLM behave like a Whisper -> LLM cascade? Includes and targets; the logic lies in the library."""

from snakemake.utils import min_version

min_version("9.13")


# A study is one file: the one given with --configfile takes the place of the paper's, nothing of the two is mixed.
if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/fetch.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/speech.smk"
include: "workflow/rules/transcribe.smk"
include: "workflow/rules/answer.smk"
include: "workflow/rules/api.smk"
include: "workflow/rules/agree.smk"
include: "workflow/rules/surplus.smk"
include: "workflow/rules/capture.smk"
include: "workflow/rules/probe.smk"
include: "workflow/rules/lens.smk"
include: "workflow/rules/erase.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/train.smk"


rule all:
    default_target: True
    input:
        STUDY.targets(),


rule all_speech:
    input:
        STUDY.all_clips(),


rule all_transcripts:
    input:
        STUDY.all_transcripts(),


rule all_answers:
    input:
        STUDY.all_answers(),


rule all_agreement:
    input:
        STUDY.all_agreement(),


rule train_connector:
    input:
        STUDY.trained(),


rule all_mechanism:
    input:
        STUDY.all_mechanism(),
