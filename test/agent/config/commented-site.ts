/** A site with a direct line, as a person writes it: comments everywhere, groups on lines and between braces. */
const KEY = 'ab'.repeat(32)

export const COMMENTED = `# The house at the end of the street.
version: 1 # the form

site: maple
role: household   # sells what the roof leaves over
data: /var/lib/tieline

keys:
  # Sealed by the passphrase.
  account: /etc/tieline/account.key
  metering: /etc/tieline/metering.key
  sealing: /etc/tieline/sealing.key

ledger:
  chain: street-1
  trust: {height: 12, hash: ${KEY}}
  primary: http://127.0.0.1:26657
  witnesses:
    - http://127.0.0.1:26658 # the other village
brokers: [mqtt://127.0.0.1:1883]

# Lines and what is on them.
lines:
  rs485:
    serial: /dev/ttyUSB0
    baud: 19200
meters:
  grid:
    line: rs485
    protocol: modbus-rtu
    page: eastron-sdm630
    unit: 1
    every: 2s # not faster
  L1: {line: rs485, protocol: modbus-rtu, page: eastron-sdm120, unit: 2, every: 500ms, id: "0012345"}
relays:
  board: {driver: modbus-coils, line: rs485, unit: 20, timed: 1s}

direct_lines:
  - id: L1
    side: seller
    peer: cedar
    meter: L1
    limit: 16A # the fuse
    peer_meter: "998877"
    contacts: {line: board.1, upstream: board.2}
    circuit: {name: heat pump}

# Cedar's keys, as it showed them.
peers:
  cedar: {account: ${KEY}, sealing: ${KEY}, metering: ${KEY}}

page:
  listen: 127.0.0.1:8480
safety: {voltage_min: 207V}

trade:
  sell: # what the roof leaves over
    reserve: 0.10
    opening: 0.24
  slot: 30s # as long as a deal lasts
  energy: 2kWh
`
