"""The page for those who come from DCMTK, against DCMTK: its options, and its files of profiles."""

import re
from pathlib import Path

import pytest

import dicomio
from dicomio import PresentationContext, sop
from dicomio.cli.options import options_of
from dicomio.cli.options.tools import REFUSED
from tests.examples.programs import blocks
from tests.examples.test_coming_from import DCMTK, TOOLS, ending_with_2
from tests.interop.conftest import StartScp
from tests.interop.processes import require, run

OPTION = re.compile(r"^ {1,12}([-+][^ ]+)(?: +(--[a-z0-9-]+))?(?: |$)", re.MULTILINE)


@pytest.mark.parametrize("tool", TOOLS.split())
def test_every_option_of_the_classic_tool_works_or_is_on_the_page(tool: str) -> None:
    require("dcmtk")
    spellings = [set(filter(None, found)) for found in OPTION.findall(run([tool, "--help"]).output)]
    assert len(spellings) > 10
    works = {name for option in options_of(tool) if option.group != REFUSED for name in option.spellings}
    assert [names for names in spellings if not names & works and not names & ending_with_2(tool)] == []
    assert ending_with_2(tool) - {name for names in spellings for name in names} == set()


async def test_the_classic_tool_reads_the_file_of_the_page(start_scp: StartScp, tmp_path: Path) -> None:
    file = tmp_path / "association.cfg"
    file.write_text(blocks(DCMTK, "ini")[0])
    scp = start_scp("storescp", options=["-xf", str(file), "Default"])
    syntaxes = [sop.ExplicitVRLittleEndian, sop.JPEG2000Lossless]
    contexts = [PresentationContext(uid, syntaxes) for uid in (sop.CTImageStorage, sop.MRImageStorage)]
    async with dicomio.connect(
        f"{scp.ae_title}@127.0.0.1:{scp.port}", contexts=[*contexts, sop.Verification, sop.RTPlanStorage]
    ) as association:
        accepted = {each.abstract_syntax: each.transfer_syntax for each in association.contexts.values()}
    assert accepted == {
        sop.CTImageStorage: sop.JPEG2000Lossless,
        sop.MRImageStorage: sop.JPEG2000Lossless,
        sop.Verification: sop.ExplicitVRLittleEndian,
    }
