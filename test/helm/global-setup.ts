/** Before the tests of the chart: fetches what they run. Without it none of them means anything, so the run ends with the line that says why. */
import { helmBinary, kubectlBinary } from '../../scripts/fetch-helm.ts';
import { promtoolBinary } from '../../scripts/fetch-promtool.ts';
import setUpAll from '../support/global-setup.ts';

export default async function globalSetup(): Promise<void> {
  await setUpAll();
  for (const fetchProgram of [helmBinary, kubectlBinary, promtoolBinary]) await fetchProgram();
}
