/** The form of config.yaml. */
import { chargerForm, fuseForm } from './charging-schema.ts'
import { mintForm, purseForm } from './coin-config.ts'
import {
  batteryForm,
  carParkForm,
  distributorForm,
  gridForm,
  parkCarForm,
  registrarForm,
  storageForm,
} from './grid-schema.ts'
import { keysForm } from './key-schema.ts'
import { distributionForm, ledgerForm } from './ledger-schema.ts'
import { withSpeeds } from './line-settings.ts'
import * as forms from './literal-forms.ts'
import * as literals from './literals.ts'
import { lineForm, meterForm } from './meter-schema.ts'
import { pageForm } from './page-config.ts'
import { brokersForm, brokerTlsForm, publishForm } from './publish-config.ts'
import { relayBank } from './relay-schema.ts'
import { issueOf, type SchemaIssue } from './schema-issue.ts'
import { about, flag, group, name, named, oneOf, path, scalar, set, v } from './schema-words.ts'
import { aggregatorForm, communityForm, demandResponseForm, regulatorForm } from './service-schema.ts'
import { ROLES, type SiteConfig } from './site-config.ts'
import { clockForm, directLineForm, journalForm, restForm, safetyForm, tradeForm } from './trade-schema.ts'
import type { YamlValue } from './yaml.ts'

const key = scalar(literals.parseHex32, 'a public key: 64 hexadecimal digits', forms.HEX_32)
const signingKey = scalar(
  literals.parseSigningKey,
  'a public key: 64 hexadecimal digits, or 66 of a P-256 key',
  forms.SIGNING_KEY,
)
const peerForm = group({
  account: about('Its key for payments.', key),
  sealing: about('Its key by which messages to it are sealed.', key),
  metering: about('The key of its readings.', signingKey),
})

/** The form on disk. */
export const siteForm = v.pipe(
  group({
    version: about('The version of this form.', v.literal('1', 'must be 1: this program reads no other version')),
    site: about('The name of this site.', name),
    role: about('What the site is to others.', oneOf(...ROLES)),
    bench: about('A bench site may hold keys made from a seed, and run on a scaled clock.', v.optional(flag, 'false')),
    data: about('Folder of the journal and of all that is kept.', path),
    keys: about('Where each private key is kept.', keysForm),
    journal: about('What is kept of the signed readings.', v.optional(journalForm, {})),
    ledger: about('The ledger on which payments are locked and proven.', v.optional(ledgerForm)),
    distribution: about('The ledger of the distribution network.', v.optional(distributionForm)),
    brokers: about('MQTT brokers where neighbours are met; published to all.', v.optional(brokersForm)),
    broker_tls: about('How brokers of mqtts: know this site, and it them.', v.optional(brokerTlsForm)),
    mqtt: about('What the home is told over MQTT; nothing without.', v.optional(publishForm)),
    lines: about('Serial and network lines, by names of your choice.', v.optional(named(lineForm), {})),
    meters: about('Meters, by names of your choice.', v.optional(named(meterForm), {})),
    relays: about('Banks of relays, by names of your choice.', v.optional(named(relayBank), {})),
    board: about('What this runs on: a board that the program knows, or the path of a file.', v.optional(path)),
    direct_lines: about(
      'Lines to neighbours that relays close.',
      v.optional(v.array(directLineForm, 'must be a list of direct lines'), []),
    ),
    peers: about('Public keys of the neighbours, by names of your choice.', v.optional(named(peerForm), {})),
    // A site without direct lines sets nothing here, and trades nothing over them.
    trade: about(
      'How this site trades over its direct lines.',
      v.optional(tradeForm, { slot: '15min', energy: '1kWh' }),
    ),
    grid: about('Trading over the grid.', v.optional(gridForm)),
    distributor: about('The lines that this site answers for.', v.optional(distributorForm)),
    storage: about('What the store of this site offers.', v.optional(storageForm)),
    registrar: about('This site certifies one-time keys.', v.optional(registrarForm)),
    mint: about('Whether this site signs blind coins.', v.optional(mintForm)),
    purse: about('Coins that this site takes ahead of time.', v.optional(purseForm)),
    battery: about('The battery of a car.', v.optional(batteryForm)),
    car_park: about('The car park whose auction this site holds.', v.optional(carParkForm)),
    park_car: about('How this car takes part in the auction of a car park.', v.optional(parkCarForm)),
    demand_response: about('What this site takes less of when it is called.', v.optional(demandResponseForm)),
    aggregator: about('Whom this site may call to take less.', v.optional(aggregatorForm)),
    community: about('The group that shares its energy.', v.optional(communityForm)),
    regulator: about('What this site keeps in force on the ledger.', v.optional(regulatorForm)),
    fuses: about('Fuses that the chargers must not blow, by names of your choice.', v.optional(named(fuseForm), {})),
    chargers: about('Chargers of cars, by names of your choice.', v.optional(named(chargerForm), {})),
    safety: about('Bounds outside of which no line is closed.', v.optional(safetyForm, {})),
    rest: about('What is done more seldom while no deal runs.', v.optional(restForm)),
    page: about('The page and its API.', v.optional(pageForm, {})),
    clock: about('The clock of a bench.', v.optional(clockForm)),
  }),
  v.transform(
    ({
      version: _,
      board,
      direct_lines,
      lines,
      rest,
      clock,
      grid,
      distribution,
      distributor,
      storage,
      registrar,
      mint,
      purse,
      battery,
      car_park: carPark,
      park_car: parkCar,
      demand_response: demandResponse,
      aggregator,
      community,
      regulator,
      fuses,
      chargers,
      mqtt: publish,
      ledger,
      brokers = [],
      broker_tls: brokerTls,
      ...others
    }): SiteConfig => {
      const chosen = set({
        board,
        rest,
        clock,
        grid,
        distribution,
        distributor,
        storage,
        registrar,
        mint,
        purse,
        battery,
        carPark,
        parkCar,
        publish,
        ledger,
        brokerTls,
      })
      const charging = Object.keys(fuses).length + Object.keys(chargers).length > 0 ? { fuses, chargers } : undefined
      const services = set({ demandResponse, aggregator, community, regulator, charging })
      return {
        ...others,
        brokers,
        ...services,
        lines: withSpeeds(lines, others.meters, others.relays),
        directLines: direct_lines,
        ...chosen,
      }
    },
  ),
)

/** The configuration in a value, or every issue with it. */
export function readSchema(value: YamlValue): {
  readonly config?: SiteConfig
  readonly issues: readonly SchemaIssue[]
} {
  const result = v.safeParse(siteForm, value)
  if (result.success) return { config: result.output, issues: [] }
  return { issues: result.issues.map(issueOf) }
}
