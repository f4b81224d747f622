import type { z } from "zod";
import type * as schemas from "./schemas.ts";

/** Types of what crosses the wire, inferred from the schemas; importing this loads nothing. */

export type Health = z.infer<typeof schemas.Health>;
export type Status = z.infer<typeof schemas.Status>;
export type Emission = z.input<typeof schemas.Emission>;
export type Emitted = z.infer<typeof schemas.Emitted>;
export type EmittedBatch = z.infer<typeof schemas.EmittedBatch>;
export type Envelope = z.infer<typeof schemas.Envelope>;
export type FeedEntry = z.infer<typeof schemas.FeedEntry>;
export type ThreadSummary = z.infer<typeof schemas.ThreadSummary>;
export type ThreadDetail = z.infer<typeof schemas.ThreadDetail>;
export type Actor = z.infer<typeof schemas.Actor>;
export type ActorDetail = z.infer<typeof schemas.ActorDetail>;
export type ActorImportSummary = z.infer<typeof schemas.ActorImportSummary>;
export type Trust = z.infer<typeof schemas.Trust>;
export type NewActor = z.infer<typeof schemas.NewActor>;
export type RevokedIdentity = z.infer<typeof schemas.RevokedIdentity>;
export type Identity = z.infer<typeof schemas.Identity>;
export type Pair = z.infer<typeof schemas.Pair>;
export type PairChange = z.infer<typeof schemas.PairChange>;
export type NewConsent = z.infer<typeof schemas.NewConsent>;
export type Consent = z.infer<typeof schemas.Consent>;
export type Namespace = z.infer<typeof schemas.Namespace>;
export type Token = z.infer<typeof schemas.Token>;
export type NewToken = z.infer<typeof schemas.NewToken>;
export type MintedToken = z.infer<typeof schemas.MintedToken>;
export type Trade = z.infer<typeof schemas.Trade>;
export type ServiceAccount = z.infer<typeof schemas.ServiceAccount>;
export type ServiceAccountDetail = z.infer<typeof schemas.ServiceAccountDetail>;
export type NewServiceAccount = z.infer<typeof schemas.NewServiceAccount>;
export type CreatedServiceAccount = z.infer<typeof schemas.CreatedServiceAccount>;
export type NewPairing = z.infer<typeof schemas.NewPairing>;
export type PairingCode = z.infer<typeof schemas.PairingCode>;
export type Pairing = z.infer<typeof schemas.Pairing>;
export type Redeem = z.infer<typeof schemas.Redeem>;
export type Redeemed = z.infer<typeof schemas.Redeemed>;
export type Device = z.infer<typeof schemas.Device>;
export type AuditEvent = z.infer<typeof schemas.AuditEvent>;
export type Backup = z.infer<typeof schemas.Backup>;
export type Manifest = z.infer<typeof schemas.Manifest>;
export type BundleVerified = z.infer<typeof schemas.BundleVerified>;
export type ImportReceipt = z.infer<typeof schemas.ImportReceipt>;
export type ImportSummary = z.infer<typeof schemas.ImportSummary>;
export type Import = z.infer<typeof schemas.Import>;
export type Rollback = z.infer<typeof schemas.Rollback>;
export type ImportEvent = z.infer<typeof schemas.ImportEvent>;

export type SyncOutcome = z.infer<typeof schemas.SyncOutcome>;
export type DiffStep = z.infer<typeof schemas.DiffStep>;
export type DiffStepTaken = z.infer<typeof schemas.DiffStepTaken>;

export interface Page<T> {
  items: T[];
  next: string | null;
}
