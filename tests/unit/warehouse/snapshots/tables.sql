CREATE TABLE IF NOT EXISTS `acme-analytics.raw.shop_db__orders` (
  `id` INT64,
  `created_at` TIMESTAMP,
  `booked_at` DATETIME,
  `day` DATE,
  `lines` ARRAY<STRUCT<`sku` STRING, `price` NUMERIC>>,
  `_etl_load_id` STRING,
  `_etl_loaded_at` TIMESTAMP,
  `_etl_source_uri` STRING
);

CREATE TABLE IF NOT EXISTS `acme-analytics.raw.shop_db__orders` (
  `id` INT64,
  `created_at` TIMESTAMP,
  `booked_at` DATETIME,
  `day` DATE,
  `lines` ARRAY<STRUCT<`sku` STRING, `price` NUMERIC>>,
  `_etl_load_id` STRING,
  `_etl_loaded_at` TIMESTAMP,
  `_etl_source_uri` STRING
)
PARTITION BY TIMESTAMP_TRUNC(`created_at`, DAY)
CLUSTER BY `id`, `day`;

CREATE TABLE IF NOT EXISTS `acme-analytics.raw.shop_db__orders` (
  `id` INT64,
  `created_at` TIMESTAMP,
  `booked_at` DATETIME,
  `day` DATE,
  `lines` ARRAY<STRUCT<`sku` STRING, `price` NUMERIC>>,
  `_etl_load_id` STRING,
  `_etl_loaded_at` TIMESTAMP,
  `_etl_source_uri` STRING
)
PARTITION BY DATETIME_TRUNC(`booked_at`, DAY);

CREATE TABLE IF NOT EXISTS `acme-analytics.raw.shop_db__orders` (
  `id` INT64,
  `created_at` TIMESTAMP,
  `booked_at` DATETIME,
  `day` DATE,
  `lines` ARRAY<STRUCT<`sku` STRING, `price` NUMERIC>>,
  `_etl_load_id` STRING,
  `_etl_loaded_at` TIMESTAMP,
  `_etl_source_uri` STRING
)
PARTITION BY `day`;

CREATE TABLE IF NOT EXISTS `acme-analytics.raw.shop_db__orders` (
  `id` INT64,
  `_etl_load_id` STRING,
  `_etl_loaded_at` TIMESTAMP,
  `_etl_source_uri` STRING
);

CREATE TABLE IF NOT EXISTS `acme-analytics.raw.shop_db__orders` (
  `id` INT64,
  `_etl_load_id` STRING,
  `_etl_loaded_at` TIMESTAMP,
  `_etl_source_uri` STRING,
  `_etl_snapshot_at` TIMESTAMP
)
PARTITION BY TIMESTAMP_TRUNC(`_etl_snapshot_at`, DAY);

CREATE TABLE IF NOT EXISTS `acme-analytics.raw.shop_db__orders` (
  `id` INT64,
  `_etl_load_id` STRING,
  `_etl_loaded_at` TIMESTAMP,
  `_etl_source_uri` STRING,
  `_etl_valid_from` TIMESTAMP,
  `_etl_valid_to` TIMESTAMP,
  `_etl_is_current` BOOL
);

CREATE TABLE IF NOT EXISTS `acme-analytics.raw.shop_db__orders` (
  `id` INT64,
  `_etl_load_id` STRING,
  `_etl_loaded_at` TIMESTAMP,
  `_etl_source_uri` STRING,
  `_etl_deleted_at` TIMESTAMP
);

ALTER TABLE `acme-analytics.raw.shop_db__orders` ADD COLUMN IF NOT EXISTS `note` STRING;

ALTER TABLE `acme-analytics.raw.shop_db__orders` ADD COLUMN IF NOT EXISTS `tags` ARRAY<STRING>;

ALTER TABLE `acme-analytics.raw.shop_db__orders` ALTER COLUMN `id` SET DATA TYPE NUMERIC;

IF EXISTS (SELECT 1 FROM `acme-analytics.raw`.INFORMATION_SCHEMA.COLUMNS WHERE table_name = 'shop_db__orders' AND column_name = 'id' AND is_nullable = 'NO') THEN
  ALTER TABLE `acme-analytics.raw.shop_db__orders` ALTER COLUMN `id` DROP NOT NULL;
END IF;

ALTER TABLE `acme-analytics.raw.shop_db__orders` ADD COLUMN IF NOT EXISTS `_etl_load_id` STRING;

ALTER TABLE `acme-analytics.raw.shop_db__orders` ADD COLUMN IF NOT EXISTS `_etl_loaded_at` TIMESTAMP;

ALTER TABLE `acme-analytics.raw.shop_db__orders` ADD COLUMN IF NOT EXISTS `_etl_source_uri` STRING;

ALTER TABLE `acme-analytics.raw.shop_db__orders` ADD COLUMN IF NOT EXISTS `_etl_load_id` STRING;

ALTER TABLE `acme-analytics.raw.shop_db__orders` ADD COLUMN IF NOT EXISTS `_etl_loaded_at` TIMESTAMP;

ALTER TABLE `acme-analytics.raw.shop_db__orders` ADD COLUMN IF NOT EXISTS `_etl_source_uri` STRING;

ALTER TABLE `acme-analytics.raw.shop_db__orders` ADD COLUMN IF NOT EXISTS `_etl_valid_from` TIMESTAMP;

ALTER TABLE `acme-analytics.raw.shop_db__orders` ADD COLUMN IF NOT EXISTS `_etl_valid_to` TIMESTAMP;

ALTER TABLE `acme-analytics.raw.shop_db__orders` ADD COLUMN IF NOT EXISTS `_etl_is_current` BOOL;

CREATE TABLE IF NOT EXISTS `acme-analytics.raw_etl._quarantine__shop_db__orders` (`resource` STRING, `load_id` STRING, `file` STRING, `record` INT64, `line` INT64, `key` STRING, `column` STRING, `value` STRING, `reason` STRING, `row` STRING, `kind` STRING, `raw` BYTES, `quarantined_at` TIMESTAMP);
