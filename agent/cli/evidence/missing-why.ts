/** Why a piece of a deal's records is not there, for people. */
import type { Missing } from '../../../protocol/trade/deal-records.ts'

export const MISSING_WHY: Readonly<Record<Missing['why'], string>> = {
  'not-signed': 'that side had not signed',
  'not-metered': 'the meter of who gave the file out has given no begin and end reading for it',
  'not-handed': 'the other side has not handed it over',
  'not-kept': 'none was kept before a restart',
  'not-counted': 'what the other side handed over is not what the ledger took from it',
  'not-followed': 'who gave the file out follows no distribution ledger',
  'not-reserved': 'the distribution ledger holds none for it',
  'not-proven': 'nothing of it had been proven',
}
