BEGIN TRANSACTION;
CREATE TABLE architectures (
	hash VARCHAR(64) NOT NULL, 
	parameters_total BIGINT NOT NULL, 
	parameters_active BIGINT NOT NULL, 
	parameters_active_non_embedding BIGINT NOT NULL, 
	CONSTRAINT pk_architectures PRIMARY KEY (hash)
);
INSERT INTO "architectures" VALUES('h0000',10,10,9);
INSERT INTO "architectures" VALUES('h0003',10,10,9);
CREATE TABLE archspec_version (
	version_num VARCHAR(32) NOT NULL, 
	PRIMARY KEY (version_num)
);
INSERT INTO "archspec_version" VALUES('0002');
CREATE TABLE environments (
	id INTEGER NOT NULL, 
	fingerprint VARCHAR(64) NOT NULL, 
	archspec VARCHAR(40) NOT NULL, 
	python VARCHAR(40) NOT NULL, 
	platform TEXT NOT NULL, 
	packages JSON NOT NULL, 
	CONSTRAINT pk_environments PRIMARY KEY (id), 
	CONSTRAINT uq_environments_fingerprint UNIQUE (fingerprint)
);
INSERT INTO "environments" VALUES(1,'3802b15d536b2210de73154d123cf4d4ce7a26803ddbe74365b871aa04eaf088','0.1.0','3.11.0','test','{"numpy": "2"}');
CREATE TABLE metrics (
	id INTEGER NOT NULL, 
	study_id INTEGER, 
	hash VARCHAR(64) NOT NULL, 
	variant VARCHAR(64), 
	name VARCHAR(60) NOT NULL, 
	value FLOAT NOT NULL, 
	unit VARCHAR(30) NOT NULL, 
	sigma FLOAT, 
	fidelity VARCHAR(40) NOT NULL, 
	device VARCHAR(80), 
	context BIGINT, 
	batch INTEGER, 
	precision VARCHAR(80), 
	detail JSON, 
	CONSTRAINT pk_metrics PRIMARY KEY (id), 
	CONSTRAINT uq_metrics_study_id_variant_name_fidelity UNIQUE (study_id, variant, name, fidelity), 
	CONSTRAINT fk_metrics_study_id_studies FOREIGN KEY(study_id) REFERENCES studies (id), 
	CONSTRAINT fk_metrics_hash_architectures FOREIGN KEY(hash) REFERENCES architectures (hash), 
	CONSTRAINT fk_metrics_variant_variants FOREIGN KEY(variant) REFERENCES variants (variant)
);
INSERT INTO "metrics" VALUES(1,1,'h0000','v0000','quality',1.0,'1',0.1,'prior',NULL,NULL,NULL,NULL,'null');
INSERT INTO "metrics" VALUES(2,1,'h0000','v0000','memory',3000000000.0,'byte',NULL,'exact','rtx-4090',4096,NULL,NULL,'null');
INSERT INTO "metrics" VALUES(3,1,'h0000','v0000','decode_speed',50.0,'token/s',NULL,'roofline',NULL,NULL,NULL,NULL,'{"bound": "memory"}');
INSERT INTO "metrics" VALUES(4,1,'h0003','v0003','quality',1.25,'1',0.1,'prior',NULL,NULL,NULL,NULL,'null');
INSERT INTO "metrics" VALUES(5,1,'h0003','v0003','memory',2000000000.0,'byte',NULL,'exact','rtx-4090',4096,NULL,NULL,'null');
INSERT INTO "metrics" VALUES(6,1,'h0003','v0003','decode_speed',80.0,'token/s',NULL,'roofline',NULL,NULL,NULL,NULL,'{"bound": "memory"}');
CREATE TABLE rejections (
	trial_id INTEGER NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	reason TEXT NOT NULL, 
	binding VARCHAR(40), 
	memory_bytes BIGINT, 
	CONSTRAINT pk_rejections PRIMARY KEY (trial_id), 
	CONSTRAINT fk_rejections_trial_id_trials FOREIGN KEY(trial_id) REFERENCES trials (id)
);
INSERT INTO "rejections" VALUES(2,'budget','needs 30 GB, 24 GB allowed','weights',30000000000);
CREATE TABLE studies (
	id INTEGER NOT NULL, 
	name VARCHAR(200) NOT NULL, 
	seed BIGINT NOT NULL, 
	context BIGINT NOT NULL, 
	batch INTEGER NOT NULL, 
	device VARCHAR(80) NOT NULL, 
	budget_bytes BIGINT NOT NULL, 
	settings JSON NOT NULL, 
	environment_id INTEGER NOT NULL, 
	created_at VARCHAR(32) NOT NULL, 
	CONSTRAINT pk_studies PRIMARY KEY (id), 
	CONSTRAINT uq_studies_name UNIQUE (name), 
	CONSTRAINT fk_studies_environment_id_environments FOREIGN KEY(environment_id) REFERENCES environments (id)
);
INSERT INTO "studies" VALUES(1,'first',7,4096,1,'rtx-4090',24000000000,'{"space": "{}"}',1,'2026-11-22T03:33:29+00:00');
CREATE TABLE trials (
	id INTEGER NOT NULL, 
	study_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	phase VARCHAR(16) NOT NULL, 
	seed BIGINT NOT NULL, 
	proposed JSON NOT NULL, 
	repairs JSON NOT NULL, 
	variant VARCHAR(64), 
	environment_id INTEGER NOT NULL, 
	CONSTRAINT pk_trials PRIMARY KEY (id), 
	CONSTRAINT uq_trials_study_id_number UNIQUE (study_id, number), 
	CONSTRAINT fk_trials_study_id_studies FOREIGN KEY(study_id) REFERENCES studies (id), 
	CONSTRAINT fk_trials_variant_variants FOREIGN KEY(variant) REFERENCES variants (variant), 
	CONSTRAINT fk_trials_environment_id_environments FOREIGN KEY(environment_id) REFERENCES environments (id)
);
INSERT INTO "trials" VALUES(1,1,0,'feasible','uniform',0,'{"d_model": 64, "ffn": "gated"}','[["d_model", 128, 64]]','v0000',1);
INSERT INTO "trials" VALUES(2,1,1,'rejected','uniform',1,'{"d_model": 9}','[]',NULL,1);
INSERT INTO "trials" VALUES(3,1,2,'duplicate','evolved',2,'{}','[]','v0000',1);
INSERT INTO "trials" VALUES(4,1,3,'feasible','uniform',3298534883328,'{"d_model": 64, "ffn": "gated"}','[["d_model", 128, 64]]','v0003',1);
CREATE TABLE variants (
	variant VARCHAR(64) NOT NULL, 
	hash VARCHAR(64) NOT NULL, 
	spec TEXT NOT NULL, 
	CONSTRAINT pk_variants PRIMARY KEY (variant), 
	CONSTRAINT fk_variants_hash_architectures FOREIGN KEY(hash) REFERENCES architectures (hash)
);
INSERT INTO "variants" VALUES('v0000','h0000','{"archspec":1}');
INSERT INTO "variants" VALUES('v0003','h0003','{"archspec":1}');
CREATE INDEX ix_variants_hash ON variants (hash);
CREATE INDEX ix_trials_study_id_state ON trials (study_id, state);
CREATE INDEX ix_trials_variant ON trials (variant);
CREATE INDEX ix_metrics_hash ON metrics (hash);
CREATE INDEX ix_metrics_variant_name ON metrics (variant, name);
COMMIT;
