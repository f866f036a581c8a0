package consolesim

import (
	"net/http"
	"time"
)

// maxJobs bounds the stored jobs.
const maxJobs = 1 << 14

// executionBody is the body of an execution. Source is accepted and ignored.
type executionBody struct {
	Arguments                                    opt[[]argumentBody]
	VideoRecordMode, StartupType                 opt[text]
	Priority, MaxRetryCount                      opt[int64]
	StartupID, StartupName                       opt[string]
	JobSubjectID, JobSubjectName, JobSubjectType opt[string]
}

// executeWorkflow is the document's section Workflows: execute. A workflow with a queue starts
// one job. A workflow with robots only starts one job per robot. Any other is refused.
func (s *Server) executeWorkflow(c *call) (reply, error) {
	var b executionBody
	if err := c.decode(&b); err != nil {
		return reply{}, err
	}
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	w, err := find(c, s.st.workflows, "workflow")
	if err != nil {
		return reply{}, err
	}
	j := s.newJob(c, &w.v)
	j.GroupID = s.st.gen.id()
	if err := b.apply(&j); err != nil {
		return reply{}, err
	}
	n := 1
	if w.v.QueueID == "" {
		n = len(w.v.RobotIDs)
	}
	if n == 0 {
		return reply{}, badRequest("The workflow has neither a queue nor robots to run on.")
	}
	e := c.encoder()
	e.beginList()
	for range n {
		job := j
		job.ID = s.st.gen.id()
		e.job(s.st.addJob(&job), c.now())
	}
	e.endList()
	w.v.trigger(c.now())
	w.changed()
	if s.opts.Dialect.EmptyExecute {
		return reply{status: http.StatusOK}, nil
	}
	out := e.bytes()
	if s.opts.Dialect.SingleExecute && n == 1 {
		out = out[1 : len(out)-1] // without the brackets of the list
	}
	return okJSON(out), nil
}

// newJob prepares a job of a workflow. The write lock must be held.
func (s *Server) newJob(c *call, w *Workflow) Job {
	j := Job{
		Meta: s.st.fresh(c, w.Name), WorkflowID: w.ID, PackageID: w.PackageID, PackageName: w.PackageName,
		PackageVersion: w.PackageVersion, PackageVersionID: w.PackageVersionID, Arguments: w.Arguments,
		QueueID: w.QueueID, Priority: w.Priority, MaxRetryCount: w.MaxRetryCount, VideoRecordMode: w.VideoRecordMode,
		ExecutionPolicy: w.TriggerPolicy, StartupType: jobStartupTypes[0],
	}
	j.Description = w.Description
	if len(w.RobotIDs) > 0 {
		if r := s.st.robots.byID[w.RobotIDs[int(s.st.jobSeq)%len(w.RobotIDs)]]; r != nil {
			j.RobotName = r.v.Name
		}
	}
	return j
}

func (b *executionBody) apply(j *Job) error {
	if b.Arguments.given() {
		args, err := arguments(b.Arguments.v)
		if err != nil {
			return err
		}
		j.Arguments = args
	}
	var err error
	if j.StartupID, err = guidField("StartupId", b.StartupID); err != nil {
		return err
	}
	if j.SubjectID, err = guidField("JobSubjectId", b.JobSubjectID); err != nil {
		return err
	}
	j.StartupName, j.SubjectName, j.SubjectType = b.StartupName.v, b.JobSubjectName.v, b.JobSubjectType.v
	for _, err := range []error{
		enumField("VideoRecordMode", b.VideoRecordMode, videoRecordModes, &j.VideoRecordMode),
		enumField("StartupType", b.StartupType, jobStartupTypes, &j.StartupType),
		upTo("Priority", b.Priority, 5000, &j.Priority),
		upTo("MaxRetryCount", b.MaxRetryCount, 10, &j.MaxRetryCount),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// addJob numbers and stores a job. The write lock must be held.
func (st *store) addJob(j *Job) *Job {
	st.jobSeq++
	j.SeqNum = st.jobSeq
	st.jobs = append(st.jobs, j)
	if len(st.jobs) > maxJobs {
		st.jobs = st.jobs[1:]
	}
	return j
}

// at returns the job in its state at a time: queued for 2 to 6 seconds, then running for 5 to
// 40. Then it has succeeded or, in one case of ten, failed. Its id determines the outcome.
func (j *Job) at(now time.Time) Job {
	h := hash64(j.ID)
	out := *j
	started := j.CreatedAt.Add(2*time.Second + time.Duration(h%4000)*time.Millisecond)
	finished := started.Add(5*time.Second + time.Duration(h>>16%35000)*time.Millisecond)
	switch {
	case now.Before(started):
		out.State, out.RobotName = "Queued", ""
		return out
	case now.Before(finished):
		out.State = "Running"
	case h>>48%10 == 0:
		out.State, out.Message = "Failed", "The target application did not answer in time."
	default:
		out.State = "Succeeded"
	}
	out.StartedAt, out.RunInstanceID = started, guidFrom("run", j.ID)
	if !now.Before(finished) {
		out.FinishedAt = finished
	}
	return out
}

func (e *encoder) job(stored *Job, now time.Time) {
	j := stored.at(now)
	e.id = j.ID
	e.begin()
	e.str("id", j.ID)
	e.str("workflowId", j.WorkflowID)
	e.str("name", j.Name)
	e.str("description", j.Description)
	e.str("packageId", j.PackageID)
	e.str("packageName", j.PackageName)
	e.str("packageVersion", j.PackageVersion)
	e.str("packageVersionId", j.PackageVersionID)
	e.arguments(j.Arguments)
	e.opt("containingQueueId", j.QueueID)
	e.int("priority", j.Priority)
	e.enum("state", jobStates, j.State)
	e.enum("displayState", jobStates, j.State)
	e.enum("videoRecordMode", videoRecordModes, j.VideoRecordMode)
	e.opt("message", j.Message)
	if e.d.CorrectSpelling {
		e.opt("lastRunInstanceId", j.RunInstanceID)
	} else {
		e.opt("lastRunInstaceId", j.RunInstanceID)
	}
	e.opt("lastRobotName", j.RobotName)
	e.time("startedAt", j.StartedAt)
	e.time("finishedAt", j.FinishedAt)
	e.int("retriedCount", 0)
	e.int("maxRetryCount", j.MaxRetryCount)
	e.str("departmentId", j.DepartmentID)
	e.str("companyId", j.CompanyID)
	e.null("cronTriggerId")
	e.enum("jobExecutionPolicy", triggerPolicies, j.ExecutionPolicy)
	e.created(&j.Meta)
	e.enum("jobStartupType", jobStartupTypes, j.StartupType)
	e.opt("jobStartupId", j.StartupID)
	e.opt("jobStartupName", j.StartupName)
	e.opt("jobGroupId", j.GroupID)
	e.int("seqNum", j.SeqNum)
	e.str("step", j.step())
	e.opt("jobSubjectId", j.SubjectID)
	e.opt("jobSubjectName", j.SubjectName)
	e.opt("jobSubjectType", j.SubjectType)
	e.beyond(&j.Meta, "RunInstance")
	e.end()
}

// step describes the job's position in its execution.
func (j *Job) step() string {
	if j.Step != "" {
		return j.Step
	}
	return "1"
}
