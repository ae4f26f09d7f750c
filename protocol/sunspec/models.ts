/**
 * The SunSpec models that Tieline reads, as tables: point names, types, units and scale factor points after the SunSpec
 * Alliance's own definitions (sunspec/models, json/model_N.json, Apache-2.0).
 *
 * A line is `type [unit [scale]]: names`, in the order of the registers; `-` is no unit. Offsets follow from the sizes, from 2
 * on: a model's first two registers are its id and its length.
 */
import { type PointType, pointRegisters } from './point.ts'

export interface Point {
  readonly name: string
  readonly type: PointType
  /** Registers from the model's id register, or from the start of its group's repetition. */
  readonly offset: number
  readonly registers: number
  readonly unit: string
  /** The point, outside of any repetition, that holds this one's power of ten. */
  readonly scale: string | undefined
}

export interface Model {
  readonly id: number
  /** What the length register may say of the part that does not repeat: the newest definition's first. */
  readonly lengths: readonly number[]
  readonly points: readonly Point[]
  /** What is repeated after that part, until the model's end. */
  readonly group: { readonly registers: number; readonly points: readonly Point[] } | undefined
}

/** The id and the length register. */
export const HEADER_REGISTERS = 2

function pointsOf(table: string, start: number): { readonly points: readonly Point[]; readonly end: number } {
  let offset = start
  const points = table
    .trim()
    .split('\n')
    .flatMap(line => {
      const [head = '', names = ''] = line.split(': ')
      const [kind = '', unit = '-', scale] = head.trim().split(' ')
      const [, type = '', size = ''] = /^(string|[a-z]+\d*)(\d*)$/.exec(kind) ?? []
      return names.split(' ').map(name => {
        const registers = pointRegisters(type as PointType, Number(size))
        const point = { name, type: type as PointType, offset, registers, unit: unit === '-' ? '' : unit, scale }
        offset += registers
        return point
      })
    })
  return { points, end: offset }
}

function define(ids: readonly number[], table: string, group?: string, olderLengths: readonly number[] = []): Model[] {
  const { points, end } = pointsOf(table, HEADER_REGISTERS)
  const repeated = group === undefined ? undefined : pointsOf(group, 0)
  return ids.map(id => ({
    id,
    lengths: [end - HEADER_REGISTERS, ...olderLengths],
    points,
    group: repeated && { points: repeated.points, registers: repeated.end },
  }))
}

const INVERTER_STATE = `
  enum16: St StVnd
  bitfield32: Evt1 Evt2 EvtVnd1 EvtVnd2 EvtVnd3 EvtVnd4`

const phases = (...names: readonly string[]): string =>
  names.flatMap(name => [name, `${name}PhA`, `${name}PhB`, `${name}PhC`]).join(' ')

/** The quantities of one phase in model 701. */
const DER_PHASE = (phase: number, lineVoltage: string): string => `
  int16 W W_SF: WL${phase}
  int16 VA VA_SF: VAL${phase}
  int16 var Var_SF: VarL${phase}
  int16 - PF_SF: PFL${phase}
  int16 A A_SF: AL${phase}
  uint16 V V_SF: ${lineVoltage} VL${phase}
  uint64 Wh TotWh_SF: TotWhInjL${phase} TotWhAbsL${phase}
  uint64 varh TotVarh_SF: TotVarhInjL${phase} TotVarhAbsL${phase}`

const MODELS: ReadonlyMap<number, Model> = new Map(
  [
    // Devices of before the pad register say 65.
    ...define([1], 'string16: Mn Md\n string8: Opt Vr\n string16: SN\n uint16: DA\n pad: Pad', undefined, [65]),
    ...define(
      [101, 102, 103],
      `uint16 A A_SF: A AphA AphB AphC
      sunssf: A_SF
      uint16 V V_SF: PPVphAB PPVphBC PPVphCA PhVphA PhVphB PhVphC
      sunssf: V_SF
      int16 W W_SF: W
      sunssf: W_SF
      uint16 Hz Hz_SF: Hz
      sunssf: Hz_SF
      int16 VA VA_SF: VA
      sunssf: VA_SF
      int16 var VAr_SF: VAr
      sunssf: VAr_SF
      int16 % PF_SF: PF
      sunssf: PF_SF
      acc32 Wh WH_SF: WH
      sunssf: WH_SF
      uint16 A DCA_SF: DCA
      sunssf: DCA_SF
      uint16 V DCV_SF: DCV
      sunssf: DCV_SF
      int16 W DCW_SF: DCW
      sunssf: DCW_SF
      int16 degC Tmp_SF: TmpCab TmpSnk TmpTrns TmpOt
      sunssf: Tmp_SF${INVERTER_STATE}`,
    ),
    ...define(
      [111, 112, 113],
      `float32 A: A AphA AphB AphC
      float32 V: PPVphAB PPVphBC PPVphCA PhVphA PhVphB PhVphC
      float32 W: W
      float32 Hz: Hz
      float32 VA: VA
      float32 var: VAr
      float32 %: PF
      float32 Wh: WH
      float32 A: DCA
      float32 V: DCV
      float32 W: DCW
      float32 degC: TmpCab TmpSnk TmpTrns TmpOt${INVERTER_STATE}`,
    ),
    ...define(
      [120],
      `enum16: DERTyp
      uint16 W WRtg_SF: WRtg
      sunssf: WRtg_SF
      uint16 VA VARtg_SF: VARtg
      sunssf: VARtg_SF
      int16 var VArRtg_SF: VArRtgQ1 VArRtgQ2 VArRtgQ3 VArRtgQ4
      sunssf: VArRtg_SF
      uint16 A ARtg_SF: ARtg
      sunssf: ARtg_SF
      int16 - PFRtg_SF: PFRtgQ1 PFRtgQ2 PFRtgQ3 PFRtgQ4
      sunssf: PFRtg_SF
      uint16 Wh WHRtg_SF: WHRtg
      sunssf: WHRtg_SF
      uint16 Ah AhrRtg_SF: AhrRtg
      sunssf: AhrRtg_SF
      uint16 W MaxChaRte_SF: MaxChaRte
      sunssf: MaxChaRte_SF
      uint16 W MaxDisChaRte_SF: MaxDisChaRte
      sunssf: MaxDisChaRte_SF
      pad: Pad`,
    ),
    ...define(
      [121],
      `uint16 W WMax_SF: WMax
      uint16 V VRef_SF: VRef
      int16 V VRefOfs_SF: VRefOfs
      uint16 V VMinMax_SF: VMax VMin
      uint16 VA VAMax_SF: VAMax
      int16 var VArMax_SF: VArMaxQ1 VArMaxQ2 VArMaxQ3 VArMaxQ4
      uint16 %WMax/s WGra_SF: WGra
      int16 - PFMin_SF: PFMinQ1 PFMinQ2 PFMinQ3 PFMinQ4
      enum16: VArAct ClcTotVA
      uint16 %WGra MaxRmpRte_SF: MaxRmpRte
      uint16 Hz ECPNomHz_SF: ECPNomHz
      enum16: ConnPh
      sunssf: WMax_SF VRef_SF VRefOfs_SF VMinMax_SF VAMax_SF VArMax_SF WGra_SF PFMin_SF MaxRmpRte_SF ECPNomHz_SF`,
    ),
    ...define(
      [122],
      `bitfield16: PVConn StorConn ECPConn
      acc64 Wh: ActWh
      acc64 VAh: ActVAh
      acc64 varh: ActVArhQ1 ActVArhQ2 ActVArhQ3 ActVArhQ4
      int16 var VArAval_SF: VArAval
      sunssf: VArAval_SF
      uint16 W WAval_SF: WAval
      sunssf: WAval_SF
      bitfield32: StSetLimMsk StActCtl
      string4: TmSrc
      uint32 s: Tms
      bitfield16: RtSt
      uint16 ohm Ris_SF: Ris
      sunssf: Ris_SF`,
    ),
    ...define(
      [123],
      `uint16 s: Conn_WinTms Conn_RvrtTms
      enum16: Conn
      uint16 %WMax WMaxLimPct_SF: WMaxLimPct
      uint16 s: WMaxLimPct_WinTms WMaxLimPct_RvrtTms WMaxLimPct_RmpTms
      enum16: WMaxLim_Ena
      int16 - OutPFSet_SF: OutPFSet
      uint16 s: OutPFSet_WinTms OutPFSet_RvrtTms OutPFSet_RmpTms
      enum16: OutPFSet_Ena
      int16 %WMax VArPct_SF: VArWMaxPct
      int16 %VArMax VArPct_SF: VArMaxPct
      int16 %VArAval VArPct_SF: VArAvalPct
      uint16 s: VArPct_WinTms VArPct_RvrtTms VArPct_RmpTms
      enum16: VArPct_Mod VArPct_Ena
      sunssf: WMaxLimPct_SF OutPFSet_SF VArPct_SF`,
    ),
    ...define(
      [124],
      `uint16 W WChaMax_SF: WChaMax
      uint16 %WChaMax/s WChaDisChaGra_SF: WChaGra WDisChaGra
      bitfield16: StorCtl_Mod
      uint16 VA VAChaMax_SF: VAChaMax
      uint16 %WChaMax MinRsvPct_SF: MinRsvPct
      uint16 %AhrRtg ChaState_SF: ChaState
      uint16 Ah StorAval_SF: StorAval
      uint16 V InBatV_SF: InBatV
      enum16: ChaSt
      int16 %WDisChaMax InOutWRte_SF: OutWRte
      int16 %WChaMax InOutWRte_SF: InWRte
      uint16 s: InOutWRte_WinTms InOutWRte_RvrtTms InOutWRte_RmpTms
      enum16: ChaGriSet
      sunssf: WChaMax_SF WChaDisChaGra_SF VAChaMax_SF MinRsvPct_SF ChaState_SF StorAval_SF InBatV_SF InOutWRte_SF`,
    ),
    ...define(
      [160],
      `sunssf: DCA_SF DCV_SF DCW_SF DCWH_SF
      bitfield32: Evt
      uint16: N TmsPer`,
      `uint16: ID
      string8: IDStr
      uint16 A DCA_SF: DCA
      uint16 V DCV_SF: DCV
      uint16 W DCW_SF: DCW
      acc32 Wh DCWH_SF: DCWH
      uint32 s: Tms
      int16 degC: Tmp
      enum16: DCSt
      bitfield32: DCEvt`,
    ),
    ...define(
      [201, 202, 203, 204],
      `int16 A A_SF: A AphA AphB AphC
      sunssf: A_SF
      int16 V V_SF: PhV PhVphA PhVphB PhVphC PPV PPVphAB PPVphBC PPVphCA
      sunssf: V_SF
      int16 Hz Hz_SF: Hz
      sunssf: Hz_SF
      int16 W W_SF: W WphA WphB WphC
      sunssf: W_SF
      int16 VA VA_SF: VA VAphA VAphB VAphC
      sunssf: VA_SF
      int16 var VAR_SF: VAR VARphA VARphB VARphC
      sunssf: VAR_SF
      int16 % PF_SF: PF PFphA PFphB PFphC
      sunssf: PF_SF
      acc32 Wh TotWh_SF: ${phases('TotWhExp', 'TotWhImp')}
      sunssf: TotWh_SF
      acc32 VAh TotVAh_SF: ${phases('TotVAhExp', 'TotVAhImp')}
      sunssf: TotVAh_SF
      acc32 varh TotVArh_SF: ${phases('TotVArhImpQ1', 'TotVArhImpQ2', 'TotVArhExpQ3', 'TotVArhExpQ4')}
      sunssf: TotVArh_SF
      bitfield32: Evt`,
    ),
    ...define(
      [211, 212, 213, 214],
      `float32 A: A AphA AphB AphC
      float32 V: PhV PhVphA PhVphB PhVphC PPV PPVphAB PPVphBC PPVphCA
      float32 Hz: Hz
      float32 W: W WphA WphB WphC
      float32 VA: VA VAphA VAphB VAphC
      float32 var: VAR VARphA VARphB VARphC
      float32: PF PFphA PFphB PFphC
      float32 Wh: ${phases('TotWhExp', 'TotWhImp')}
      float32 VAh: ${phases('TotVAhExp', 'TotVAhImp')}
      float32 varh: ${phases('TotVArhImpQ1', 'TotVArhImpQ2', 'TotVArhExpQ3', 'TotVArhExpQ4')}
      bitfield32: Evt`,
    ),
    ...define(
      [701],
      `enum16: ACType St InvSt ConnSt
      bitfield32: Alrm DERMode
      int16 W W_SF: W
      int16 VA VA_SF: VA
      int16 var Var_SF: Var
      int16 - PF_SF: PF
      int16 A A_SF: A
      uint16 V V_SF: LLV LNV
      uint32 Hz Hz_SF: Hz
      uint64 Wh TotWh_SF: TotWhInj TotWhAbs
      uint64 varh TotVarh_SF: TotVarhInj TotVarhAbs
      int16 degC Tmp_SF: TmpAmb TmpCab TmpSnk TmpTrns TmpSw TmpOt${DER_PHASE(1, 'VL1L2')}${DER_PHASE(2, 'VL2L3')}${DER_PHASE(3, 'VL3L1')}
      uint16 %: ThrotPct
      bitfield32: ThrotSrc
      sunssf: A_SF V_SF Hz_SF W_SF PF_SF VA_SF Var_SF TotWh_SF TotVarh_SF Tmp_SF
      string32: MnAlrmInfo`,
    ),
    ...define(
      [702],
      `uint16 W W_SF: WMaxRtg WOvrExtRtg
      uint16 - PF_SF: WOvrExtRtgPF
      uint16 W W_SF: WUndExtRtg
      uint16 - PF_SF: WUndExtRtgPF
      uint16 VA VA_SF: VAMaxRtg
      uint16 var Var_SF: VarMaxInjRtg VarMaxAbsRtg
      uint16 W W_SF: WChaRteMaxRtg WDisChaRteMaxRtg
      uint16 VA VA_SF: VAChaRteMaxRtg VADisChaRteMaxRtg
      uint16 V V_SF: VNomRtg VMaxRtg VMinRtg
      uint16 A A_SF: AMaxRtg
      uint16 - PF_SF: PFOvrExtRtg PFUndExtRtg
      uint16 S S_SF: ReactSusceptRtg
      enum16: NorOpCatRtg AbnOpCatRtg
      bitfield32: CtrlModes
      bitfield16: IntIslandCatRtg
      uint16 W W_SF: WMax WMaxOvrExt
      uint16 - PF_SF: WOvrExtPF
      uint16 W W_SF: WMaxUndExt
      uint16 - PF_SF: WUndExtPF
      uint16 VA VA_SF: VAMax
      uint16 var Var_SF: VarMaxInj VarMaxAbs
      uint16 W W_SF: WChaRteMax WDisChaRteMax
      uint16 VA VA_SF: VAChaRteMax VADisChaRteMax
      uint16 V V_SF: VNom VMax VMin
      uint16 A A_SF: AMax
      uint16 - PF_SF: PFOvrExt PFUndExt
      bitfield16: IntIslandCat
      sunssf: W_SF PF_SF VA_SF Var_SF V_SF A_SF S_SF`,
    ),
    ...define(
      [713],
      `uint16 Wh WH_SF: WHRtg WHAvail
      uint16 % Pct_SF: SoC SoH
      enum16: Sta
      sunssf: WH_SF Pct_SF`,
    ),
    ...define(
      [714],
      `bitfield32: PrtAlrms
      uint16: NPrt
      int16 A DCA_SF: DCA
      int16 W DCW_SF: DCW
      uint64 Wh DCWH_SF: DCWhInj DCWhAbs
      sunssf: DCA_SF DCV_SF DCW_SF DCWH_SF Tmp_SF`,
      `enum16: PrtTyp
      uint16: ID
      string8: IDStr
      int16 A DCA_SF: DCA
      uint16 V DCV_SF: DCV
      int16 W DCW_SF: DCW
      uint64 Wh DCWH_SF: DCWhInj DCWhAbs
      int16 degC Tmp_SF: Tmp
      enum16: DCSta
      bitfield32: DCAlrm`,
    ),
    ...define(
      [802],
      `uint16 Ah AHRtg_SF: AHRtg
      uint16 Wh WHRtg_SF: WHRtg
      uint16 W WChaDisChaMax_SF: WChaRteMax WDisChaRteMax
      uint16 %WHRtg DisChaRte_SF: DisChaRte
      uint16 %WHRtg SoC_SF: SoCMax SoCMin SocRsvMax SoCRsvMin SoC
      uint16 % DoD_SF: DoD
      uint16 % SoH_SF: SoH
      uint32: NCyc
      enum16: ChaSt LocRemCtl
      uint16: Hb CtrlHb AlmRst
      enum16: Typ State StateVnd
      uint32: WarrDt
      bitfield32: Evt1 Evt2 EvtVnd1 EvtVnd2
      uint16 V V_SF: V VMax VMin
      uint16 V CellV_SF: CellVMax
      uint16: CellVMaxStr CellVMaxMod
      uint16 V CellV_SF: CellVMin
      uint16: CellVMinStr CellVMinMod
      uint16 V CellV_SF: CellVAvg
      int16 A A_SF: A
      uint16 A AMax_SF: AChaMax ADisChaMax
      int16 W W_SF: W
      enum16: ReqInvState
      int16 W W_SF: ReqW
      enum16: SetOp SetInvState
      sunssf: AHRtg_SF WHRtg_SF WChaDisChaMax_SF DisChaRte_SF SoC_SF DoD_SF SoH_SF V_SF CellV_SF A_SF AMax_SF W_SF`,
    ),
  ].map(model => [model.id, model]),
)

/** The model with this id, where Tieline knows it. */
export const modelOf = (id: number): Model | undefined => MODELS.get(id)
