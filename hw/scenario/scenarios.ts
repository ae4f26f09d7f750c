/** Every scenario, in the order in which the paper comes to them, and what it does not come to. */
import { carPark } from './car-park.ts'
import { carToCar } from './car-to-car.ts'
import { community } from './community.ts'
import { directCable } from './direct-cable.ts'
import { feeder } from './feeder.ts'
import { microgrid } from './microgrid.ts'
import { noMeter } from './no-meter.ts'
import { officeHomes } from './office-homes.ts'
import type { Scenario } from './scenario.ts'
import { storage } from './storage.ts'

export const SCENARIOS: readonly Scenario[] = [
  directCable,
  carPark,
  microgrid,
  feeder,
  storage,
  officeHomes,
  community,
  noMeter,
  carToCar,
]
